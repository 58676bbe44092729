#!/usr/bin/env python3
"""Each feature of SIP against scenarios of ours for SIPp, as caller and as callee, with checks on the wire; then many calls.

APUS_LONG=1 makes 1,000 calls at 20 a second each way instead of 200 at 40."""
import os
import re
import sys
import time

from lab import Report, apus, check, wait_for
from peers import ApusRun
from sipp import SIPp, Scenario, sdp

# Many calls at once, each for itself.
MANY = "call_max_calls 1000\ncall_hold_other_calls no\n"


def agent(parameters=";answermode=auto", extra="", account=None, codec="pcma"):
    return ApusRun("main", "none", codec, parameters=parameters, extra=extra, account=account, options=("-s",), ports=200)


def has_no_call(each):
    each.command("/listcalls")
    time.sleep(0.3)
    return "Active calls (0)" in each.output()


def called(scenario, parameters=";answermode=auto", extra="", says=(), calls=1, options=(), seconds=15, patience=15):
    """SIPp calls Apus; SIPp's own scenario speaks PCMU."""
    with agent(parameters, extra, codec="pcma" if isinstance(scenario, Scenario) else "pcmu") as bob:
        with SIPp(scenario, bob.port, calls, seconds, options) as sipp:
            sipp.finish()
        for words in says:
            bob.wait_for(words)
        wait_for(lambda: has_no_call(bob), patience, "every call is over")
    check(bob.code == 0, f"exit {bob.code}: {bob.output()[-200:]!r}")
    return bob


def calling(scenario, parameters="", extra="", says=(), after=(), target=None, seconds=15):
    """Apus calls SIPp, and is told `after`, pairs of what to wait for and what to type."""
    with SIPp(scenario, seconds=seconds) as sipp, agent(parameters, extra) as alice:
        alice.command(f"/dial {sipp.uri}" if target is None else target.format(sipp=sipp.uri))
        for words, line in after:
            alice.wait_for(words)
            alice.command(line)
        sipp.finish()
        for words in says:
            alice.wait_for(words)
    check(alice.code == 0, f"exit {alice.code}: {alice.output()[-200:]!r}")
    return alice


def sent(each, title):
    """How often a message of this title left."""
    return len(re.findall(rf"^ *[\d.]+ s  \S+ --- {title} --> ", each.output(), re.M))


# SIPp calls

def reliable_provisional():
    scenario = Scenario("100rel")
    scenario.request("INVITE", 1, "Require: 100rel", body=sdp(), first=True).maybe(100)
    scenario.wants(180, r"Require: *100rel")
    # The number of the RSeq, which the RAck names.
    scenario.steps[-1] = scenario.steps[-1].replace(
        "</action>", '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" check_it="true" assign_to="rseq"/></action>')
    scenario.variables.append("rseq")
    scenario.request("PRACK", 2, "RAck: [$rseq] 1 INVITE").wants(200, "CSeq: *2 PRACK")
    called(scenario.wants(200, "CSeq: *1 INVITE").request("ACK", 1).hang_up(3), ";answermode=auto;answerdelay=900;100rel=yes")


def update():
    called(Scenario("UPDATE").call().request("UPDATE", 2).wants(200, "CSeq: *2 UPDATE")
           .request("UPDATE", 3, body=sdp("sendonly", 2)).wants(200, "a=recvonly")
           .request("UPDATE", 4, body=sdp("sendrecv", 3)).wants(200, "a=sendrecv").hang_up(5),
           says=("held by the peer", "resumed by the peer"))


def session_timer():
    called(Scenario("session timer").request("INVITE", 1, "Supported: timer", "Session-Expires: 30", body=sdp(), first=True)
           .maybe(100, 180).wants(422, "Min-SE: *90").request("ACK", 1, first=True, branch="INVITE")
           .request("INVITE", 2, "Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90", body=sdp(), first=True)
           .maybe(100, 180).wants(200, "Session-Expires: *90 *;refresher=uac", "Require: *timer").request("ACK", 2)
           .request("UPDATE", 3, "Supported: timer", "Session-Expires: 90;refresher=uac").wants(200, "Session-Expires: *90")
           .hang_up(4))


def refreshed_by_apus():
    """Asked to refresh, Apus does at half the interval, by an UPDATE that asks for the same (RFC 4028 section 10)."""
    began = time.monotonic()
    called(Scenario("session timer of ours").request(
        "INVITE", 1, "Supported: timer", "Session-Expires: 90;refresher=uas", "Min-SE: 90", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE",
        body=sdp(), first=True).maybe(100, 180).wants(200, "Session-Expires: *90 *;refresher=uas").request("ACK", 1)
        .wants("UPDATE", "Session-Expires: *90 *;refresher=uac", timeout=60000)
        .reply("200 OK", "Session-Expires: 90;refresher=uac", "Require: timer", tag="").pause(300).hang_up(2), seconds=75)
    waited = time.monotonic() - began
    check(44 < waited < 60, f"the refresh came after {waited:.0f} s, not at half of 90")
    return f"after {waited:.0f} s"


def refreshed_by_peer():
    """Apus asks for a timer and the peer refreshes, by UPDATE and by re-INVITE, each answered with the same interval."""
    scenario = Scenario("session timer of the peer's").wants("INVITE", "Supported:.*timer")
    keep(scenario, to="To:", frm="From:", contact="Contact:")
    scenario.reply("200 OK", "Session-Expires: 1800;refresher=uas", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE", body=sdp()).wants("ACK")
    own(scenario, "UPDATE", 1, "Supported: timer", "Session-Expires: 1800;refresher=uac").wants(
        200, "Session-Expires: *1800 *;refresher=uac", "Require: *timer")
    own(scenario, "INVITE", 2, "Supported: timer", "Session-Expires: 1800;refresher=uac", body=sdp(version=2)).maybe(100).wants(
        200, "Session-Expires: *1800 *;refresher=uac", "a=sendrecv")
    own(scenario, "ACK", 2).pause(200)
    own(scenario, "BYE", 3).wants(200)
    calling(scenario, says=("established", "ended, "))


def keep(scenario, **fields):
    """Keeps header fields of the last message, by the names of variables."""
    for name, header in fields.items():
        expression = "sip:[^;>]*" if name == "contact" else ".*"
        if "</action>" not in scenario.steps[-1]:
            scenario.steps[-1] = scenario.steps[-1].replace("</recv>", "<action></action></recv>")
        scenario.steps[-1] = scenario.steps[-1].replace(
            "</action>", f'<ereg regexp="{expression}" search_in="hdr" header="{header}" assign_to="{name}"/></action>')
        scenario.variables.append(name)


def own(scenario, method, number, *headers, body=None):
    """A request of the callee's in the dialog whose INVITE was kept."""
    return scenario.send(
        [f"{method} [$contact] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
         "From: [$to];tag=[pid]SIPp[call_number]", "To: [$frm]", "Call-ID: [call_id]", f"CSeq: {number} {method}",
         "Contact: <sip:sipp@[local_ip]:[local_port]>", "Max-Forwards: 70", *headers], body,
        retrans="" if method == "ACK" else "500")


def refer():
    called(Scenario("REFER").call().request("REFER", 2, "Refer-To: <sip:nobody@127.0.0.1:9>", "Event: refer").wants(202)
           .wants("NOTIFY", "Event: *refer", "SIP/2.0 100").reply("200 OK")
           .wants("NOTIFY", "Subscription-State: *terminated", "SIP/2.0 [3-6][0-9][0-9]").reply("200 OK").hang_up(3),
           says=("transferred to sip:nobody@127.0.0.1:9",))


def refer_refused():
    called(Scenario("REFER refused").call().request("REFER", 2, "Refer-To: <sip:nobody@127.0.0.1:9>").wants(603).hang_up(3),
           ";answermode=auto;call_transfer=no")


def replaces():
    called(Scenario("Replaces").request(
        "INVITE", 1, "Require: replaces", "Replaces: nobody@nowhere;to-tag=1;from-tag=2", body=sdp(), first=True).maybe(100)
        .wants(481).request("ACK", 1, first=True, branch="INVITE"))


def taken_over():
    """An INVITE with Replaces takes the place of a call: answered at once, and the call that it names ends by BYE."""
    first = Scenario("replaced").wants("INVITE").reply("180 Ringing", tag=";tag=replaced")
    first.reply("200 OK", tag=";tag=replaced", body=sdp()).wants("ACK")
    first.wants("BYE", timeout=9000).reply("200 OK", tag="")
    with SIPp(first) as one, agent(";answermode=manual") as alice:
        alice.command(f"/dial {one.uri}")
        alice.wait_for("established")
        invite = re.search(r"INVITE sip:sipp@\S+ SIP/2.0\n(?:.+\n)+?", alice.output().replace("\r", "")).start()
        head = alice.output().replace("\r", "")[invite:]
        call_id, tag = re.search(r"^Call-ID: (\S+)", head, re.M)[1], re.search(r"^From: .*;tag=(\S+)", head, re.M)[1]
        second = Scenario("replacing").request(
            "INVITE", 1, "Require: replaces", f"Replaces: {call_id};to-tag={tag};from-tag=replaced", body=sdp(), first=True)
        second.maybe(100, 180).wants(200, "a=rtpmap:8 ").request("ACK", 1).pause(500)
        with SIPp(second.hang_up(2), alice.port) as other:
            other.finish()
        one.finish()
        alice.wait_for("ended, ")
        wait_for(lambda: has_no_call(alice), 10, "every call is over")


def verified(scenario):
    """That the digest response of the last request is right."""
    scenario.steps[-1] = scenario.steps[-1].replace(
        "</action>", '<verifyauth assign_to="isRight" username="me" password="secret"/></action>')
    scenario.raw('<nop test="isRight" next="right"/>', "isRight").reply("403 Wrong Response")
    # Nobody sends that: the call fails here.
    return scenario.wants("NEVER", timeout=100).raw('<label id="right"/>')


def digest_accepted():
    """Challenged by MD5 for REGISTER: SIPp finds that the response is the right one, and accepts it."""
    scenario = Scenario("registrar").wants("REGISTER").reply(
        "401 Unauthorized", 'WWW-Authenticate: Digest realm="test", nonce="1234", qop="auth", algorithm=MD5')
    verified(scenario.wants("REGISTER", 'Authorization: *Digest .*username="me"', "nc=00000001"))
    scenario.reply("200 OK", "Expires: 600", "[last_Contact:]")
    with SIPp(scenario) as sipp:
        with agent(account=f"<{sipp.uri}>;auth_user=me;auth_pass=secret;regint=600;mwi=no") as alice:
            alice.wait_for("registered")
            sipp.finish()
            trace = alice.output()
    check("secret" not in trace, "the password is in the trace")


def unknown_extension():
    called(Scenario("Require").request("INVITE", 1, "Require: levitation", body=sdp(), first=True).maybe(100)
           .wants(420, "Unsupported: *levitation").request("ACK", 1, first=True, branch="INVITE"))


def message():
    called(Scenario("MESSAGE").request("MESSAGE", 1, body=("text/plain", "good morning"), first=True).wants(200),
           says=("good morning",))


def subscribe():
    called(Scenario("SUBSCRIBE").request("SUBSCRIBE", 1, "Event: levitation", "Expires: 60", first=True).wants(489))


def info_digits():
    called(Scenario("INFO").call().request("INFO", 2, body=("application/dtmf-relay", "Signal=5\nDuration=160\n")).wants(200)
           .request("INFO", 3, body=("application/dtmf-relay", "Signal=#\nDuration=160\n")).wants(200).pause(500).hang_up(4),
           says=("digit 5", "digit #"))


def asks_for_digest():
    # SIPp answers to MD5 only, and that stands last: what it can show is the question, and that no other answer will do.
    scenario = Scenario("digest").request("INVITE", 1, body=sdp(), first=True).maybe(100)
    scenario.wants(401, "algorithm=SHA-256[^-]", "algorithm=MD5", 'qop="auth"').request("ACK", 1, first=True, branch="INVITE")
    scenario.request("INVITE", 2, 'Authorization: Digest username="user", realm="bob", nonce="1", uri="sip:bob", response="2"',
                     body=sdp(), first=True).maybe(100)
    called(scenario.wants(401).request("ACK", 2, first=True, branch="INVITE"), ";answermode=auto;uas_user=user;uas_pass=pass")


def late_cancel():
    """A CANCEL behind the answer changes nothing (RFC 3261 section 9.2)."""
    scenario = Scenario("late CANCEL").call()
    scenario.request("CANCEL", 1, first=True, branch="INVITE").maybe(481).wants(200)
    called(scenario.pause(300).hang_up(2))


def lost_acknowledgement():
    """The answer comes again until the ACK does (RFC 3261 section 13.3.1.4)."""
    scenario = Scenario("lost ACK").request("INVITE", 1, body=sdp(), first=True).maybe(100, 180).wants(200)
    bob = called(scenario.pause(1900).request("ACK", 1).pause(2500).hang_up(2))
    answers = len(re.findall(r"--- 200 OK --> \S+\n(?:.+\n)*?CSeq: 1 INVITE", bob.output().replace("\r", "")))
    check(answers in (3, 4), f"the answer left {answers} times: after 0, 0.5 and 1.5 s it must, and not after the ACK")
    return f"{answers} answers"


def lossy():
    """One message of twelve is lost, either way: every call stands and ends all the same.

    Where SIPp takes the answer that comes again for the one to its BYE, Apus gets neither ACK nor BYE: it ends the call after 32 s."""
    called("uac", extra=MANY, calls=30, options=("-r", 20, "-d", 200, "-lost", 8), seconds=45, patience=40)


# Apus calls

def answered(*headers):
    return Scenario("answered").wants("INVITE").reply("180 Ringing").reply("200 OK", *headers, body=sdp()).wants("ACK")


def ended(scenario):
    return scenario.wants("BYE", timeout=9000).reply("200 OK", tag="")


def redirected():
    with agent() as bob:
        calling(Scenario("302").wants("INVITE").reply("302 Moved Temporarily", f"Contact: <{bob.uri}>").wants("ACK"),
                ";sip_autoredirect=yes", says=("established",))
        bob.wait_for("established")


def challenged(status, header):
    """Challenged by MD5: the second INVITE bears the right response, and no password is in the trace."""
    scenario = Scenario("digest").wants("INVITE")
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    scenario.reply(f"{status} Prove It", f'{name}: Digest realm="test", nonce="1234", qop="auth", algorithm=MD5').wants("ACK")
    scenario.wants("INVITE", rf'{header}: *Digest .*username="me"', rf"{header}: *Digest .*nc=00000001")
    if status == 401:  # SIPp looks at no other field
        verified(scenario)
    alice = calling(ended(scenario.reply("200 OK", body=sdp()).wants("ACK")), ";auth_user=me;auth_pass=secret",
                    after=[("established", "/hangup")])
    check("secret" not in alice.output(), "the password is in the trace")


def cancel_crosses_answer():
    """The answer crosses the CANCEL: it is acknowledged, and the call is ended by BYE (RFC 3261 section 15)."""
    scenario = Scenario("crossing").wants("INVITE").reply("180 Ringing")
    # The INVITE's own lines, for its answer comes after the CANCEL's.
    scenario.steps[0] = scenario.steps[0].replace(
        "</recv>", '<action><ereg regexp="SIP/2.0/.*" search_in="hdr" header="Via:" assign_to="via"/></action></recv>')
    scenario.variables.append("via")
    scenario.wants("CANCEL").reply("200 OK", tag="")
    scenario.reply("200 OK", via="Via: [$via]", cseq="CSeq: 1 INVITE", body=sdp()).wants("ACK")
    calling(ended(scenario), after=[("ringing", "/hangup")], says=("ended, ",))


def forked():
    """Two early dialogs, the second answers, and then the first too: that one is acknowledged, and ended."""
    scenario = Scenario("forked").wants("INVITE").reply("180 Ringing", tag=";tag=one")
    scenario.steps[0] = scenario.steps[0].replace(
        "</recv>", '<action><ereg regexp="SIP/2.0/.*" search_in="hdr" header="Via:" assign_to="via"/>'
        '<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="number"/>'
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/></action></recv>')
    scenario.variables += ["via", "number", "to"]
    scenario.reply("183 Session Progress", tag=";tag=two", body=sdp()).pause(200)
    scenario.reply("200 OK", tag=";tag=two", body=sdp()).wants("ACK", "To:.*tag=two").pause(200)
    lines = ["SIP/2.0 200 OK", "Via: [$via]", "[last_From:]", "To: [$to];tag=one", "[last_Call-ID:]", "CSeq: [$number] INVITE",
             "Contact: <sip:other@[local_ip]:[local_port]>"]
    scenario.send(lines, sdp()).wants("ACK", "To:.*tag=one").wants("BYE", "To:.*tag=one").reply("200 OK", tag="").pause(300)
    with SIPp(ended(scenario)) as sipp, agent("") as alice:
        alice.command(f"/dial {sipp.uri}")
        alice.wait_for("established")
        time.sleep(1.5)
        alice.command("/hangup")
        sipp.finish()


def glare():
    """A re-INVITE that meets another is tried again after 2.1 to 4 s (RFC 3261 section 14.1)."""
    scenario = answered().wants("INVITE", "a=sendonly").reply("491 Request Pending", tag="").wants("ACK")
    scenario.wants("INVITE", "a=sendonly", timeout=6000).reply("200 OK", tag="", body=sdp("recvonly", 2)).wants("ACK").pause(200)
    with SIPp(ended(scenario)) as sipp, agent("") as alice:
        alice.command(f"/dial {sipp.uri}")
        alice.wait_for("established")
        alice.command("/hold")
        began = time.monotonic()
        while alice.output().count("a=recvonly") == 0 and time.monotonic() < began + 8:
            time.sleep(0.05)
        waited = time.monotonic() - began
        time.sleep(0.5)
        alice.command("/hangup")
        sipp.finish()
    check(2.0 < waited < 5.5, f"tried again after {waited:.1f} s")
    return f"again after {waited:.1f} s"


def lost_invite():
    """SIPp drops the first INVITE that comes: it comes again."""
    scenario = Scenario("lost INVITE").wants("INVITE", lost=0).pause(800).reply("200 OK", body=sdp()).wants("ACK")
    alice = calling(ended(scenario), after=[("established", "/hangup")])
    count = sent(alice, r"INVITE \S+")
    check(count == 2, f"the INVITE left {count} times within 0.8 s")


def acknowledges_provisional():
    """A provisional response that asks for it is acknowledged by PRACK, with the numbers of both (RFC 3262 section 7.2)."""
    scenario = Scenario("100rel of the peer's").wants("INVITE", "Supported:.*100rel")
    keep(scenario, via="Via:", number="CSeq:")
    scenario.reply("183 Session Progress", "Require: 100rel", "RSeq: 7001", body=sdp())
    scenario.wants("PRACK", "RAck: *7001 +[0-9]+ +INVITE").reply("200 OK", tag="").pause(300)
    # The INVITE's own lines, for the last request is the PRACK.
    scenario.reply("200 OK", tag="", via="Via: [$via]", cseq="CSeq: [$number]").wants("ACK")
    calling(ended(scenario), ";100rel=yes", after=[("established", "/hangup")], says=("ended, ",))


def is_updated():
    """The callee changes the session by UPDATE: held, and resumed."""
    scenario = Scenario("UPDATE of the peer's").wants("INVITE", "Allow:.*UPDATE")
    keep(scenario, to="To:", frm="From:", contact="Contact:")
    scenario.reply("200 OK", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE", body=sdp()).wants("ACK")
    own(scenario, "UPDATE", 1, body=sdp("sendonly", 2)).wants(200, "a=recvonly")
    own(scenario, "UPDATE", 2, body=sdp("sendrecv", 3)).wants(200, "a=sendrecv")
    own(scenario, "BYE", 3).wants(200)
    calling(scenario, says=("held by the peer", "resumed by the peer", "ended, "))


def is_held(scenario, version=2):
    """Whoever is transferred is held meanwhile."""
    scenario.wants("INVITE", "a=sendonly", timeout=9000)
    return scenario.reply("200 OK", tag="", body=sdp("recvonly", version)).wants("ACK")


def notify(scenario, number, state, fragment):
    """What becomes of a REFER (RFC 3515 section 2.4.5)."""
    return own(scenario, "NOTIFY", number, "Event: refer", f"Subscription-State: {state}",
               body=("message/sipfrag", fragment + "\n")).wants(200)


def transfers():
    """Blind: the peer is referred, tells how it goes, and is let go when it has succeeded."""
    scenario = Scenario("REFER of Apus").wants("INVITE")
    keep(scenario, to="To:", frm="From:", contact="Contact:")
    is_held(scenario.reply("200 OK", body=sdp()).wants("ACK"))
    scenario.wants("REFER", "Refer-To: *<?sip:carol@127.0.0.1:9>?", "Referred-By: *<?sip:", timeout=9000)
    scenario.reply("202 Accepted", tag="")
    notify(scenario, 1, "active;expires=60", "SIP/2.0 100 Trying")
    notify(scenario, 2, "terminated;reason=noresource", "SIP/2.0 200 OK")
    calling(ended(scenario), after=[("established", "/transfer sip:carol@127.0.0.1:9")], says=("ended, ",))


def transfer_fails():
    """Where the third one does not want it, the call goes on, and the peer is heard again."""
    scenario = Scenario("REFER that fails").wants("INVITE")
    keep(scenario, to="To:", frm="From:", contact="Contact:")
    is_held(scenario.reply("200 OK", body=sdp()).wants("ACK")).wants("REFER", timeout=9000).reply("202 Accepted", tag="")
    notify(scenario, 1, "terminated;reason=noresource", "SIP/2.0 603 Decline")
    scenario.wants("INVITE", "a=sendrecv", timeout=9000).reply("200 OK", tag="", body=sdp(version=3)).wants("ACK")
    calling(ended(scenario), after=[("established", "/transfer sip:carol@127.0.0.1:9"), ("o=sipp 1 3 ", "/hangup")])


def transfers_attended():
    """The peer is referred to the one who was asked, in place of that call (RFC 3891)."""
    # The one who was asked ends the call that another took the place of (RFC 5589 section 7.3).
    second = Scenario("asked").wants("INVITE")
    keep(second, to="To:", frm="From:", contact="Contact:")
    is_held(second.reply("200 OK", tag=";tag=asked", body=sdp()).wants("ACK")).pause(700)
    second.send(["BYE [$contact] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
                 "From: [$to];tag=asked", "To: [$frm]", "Call-ID: [call_id]", "CSeq: 1 BYE", "Max-Forwards: 70"], None,
                retrans="500").wants(200)
    with SIPp(second) as other:
        replaces = f"Refer-To: *<{other.uri}[?]Replaces=[^>]*%3Bto-tag%3Dasked%3Bfrom-tag%3D"
        first = Scenario("transferred").wants("INVITE")
        keep(first, to="To:", frm="From:", contact="Contact:")
        is_held(first.reply("200 OK", body=sdp()).wants("ACK"))
        first.wants("REFER", replaces, timeout=9000).reply("202 Accepted", tag="")
        notify(first, 1, "terminated;reason=noresource", "SIP/2.0 200 OK")
        with SIPp(ended(first)) as one, agent("") as alice:
            alice.command(f"/dial {one.uri}")
            alice.wait_for("call 1: established")
            alice.command(f"/atransferstart {other.uri}")
            alice.wait_for("call 2: established")
            alice.command("/atransferexec")
            one.finish()
            other.finish()
            wait_for(lambda: has_no_call(alice), 10, "every call is over")


def sends_message():
    scenario = Scenario("MESSAGE of Apus").wants("MESSAGE", "Content-Type: *text/plain", "good morning").reply("200 OK")
    calling(scenario, target="/message {sipp} good morning")


def sends_digits_by_info():
    scenario = answered("Allow: INVITE, ACK, BYE, CANCEL, INFO")
    for digit in ("5", "[*]"):
        scenario.wants("INFO", "application/dtmf-relay", f"Signal *= *{digit}", "Duration *= *[0-9]+", timeout=9000).reply("200 OK", tag="")
    calling(ended(scenario), ";dtmfmode=info", after=[("established", "/sndcode 5*"), (" INFO ", "/listcalls"), ("Signal=*", "/hangup")])


def asks_for_options():
    scenario = Scenario("OPTIONS of Apus").wants("OPTIONS", "Accept:.*application/sdp")
    calling(scenario.reply("200 OK", "Allow: INVITE, ACK, BYE"), target="/options {sipp}", says=("200 OK",))


def mailbox():
    """Registered, it asks for its mailbox, and is told (RFC 3842)."""
    register = Scenario("registrar and mailbox")
    register.raw('<recv request="REGISTER" optional="true" next="registers"/>')
    register.wants("SUBSCRIBE", "Event: *message-summary")
    register.steps[-1] = register.steps[-1].replace(
        "</action>", '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>'
        '<ereg regexp="sip:[^;>]*" search_in="hdr" header="Contact:" assign_to="contact"/></action>')
    register.variables += ["from", "to", "contact"]
    register.reply("200 OK", "Expires: 600")
    register.send(["NOTIFY [$contact] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
                   "From: [$to];tag=[pid]SIPp[call_number]", "To: [$from]", "Call-ID: [call_id]", "CSeq: 1 NOTIFY",
                   "Contact: <sip:sipp@[local_ip]:[local_port]>", "Max-Forwards: 70", "Event: message-summary",
                   "Subscription-State: active;expires=600"],
                  ("application/simple-message-summary", "Messages-Waiting: yes\nVoice-Message: 2/8 (0/2)\n"), retrans="500")
    register.wants(200).raw('<nop next="end"/>').raw('<label id="registers"/>')
    register.reply("200 OK", "Expires: 600", "[last_Contact:]").raw('<label id="end"/>')
    register.steps[1] = register.steps[1].replace('rrs="true"', "")
    with SIPp(register, calls=2) as sipp:
        account = f"<{sipp.uri}>;auth_pass=secret;regint=600;mwi=yes"
        with agent(account=account) as alice:
            alice.wait_for("registered")
            alice.wait_for("mailbox")
            sipp.finish()


def told_where():
    """What a registrar tells of routes and names a later call goes by (RFC 3327, 3608, 5627)."""
    gruu = "sip:me@phones.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    service = Scenario("service").wants("INVITE", "INVITE sip:her@127[.]0[.]0[.]1:9 ", "Route: *<sip:127[.]0[.]0[.]1:[0-9]+;lr>",
                                        f"Contact: *<{gruu.replace('.', '[.]')}>")
    with SIPp(ended(service.reply("200 OK", body=sdp()).wants("ACK"))) as other:
        registrar = Scenario("registrar").wants("REGISTER", "Supported:.*path", "Supported:.*gruu", "Supported:.*outbound",
                                                'Contact:.*[+]sip.instance="<urn:uuid:.*reg-id=1')
        registrar.reply("200 OK", "Expires: 600", f'[last_Contact:];pub-gruu="{gruu}"', "Path: <sip:edge.phones.test;lr>",
                        f"Service-Route: <sip:127.0.0.1:{other.port};lr>")
        with SIPp(registrar) as sipp, agent(account=f"<{sipp.uri}>;regint=600;mwi=no;sipnat=outbound;answermode=auto") as alice:
            alice.wait_for("registered")
            sipp.finish()
            alice.command("/dial sip:her@127.0.0.1:9")
            alice.wait_for("established")
            alice.command("/hangup")
            other.finish()


def hides(is_told):
    """Who calls is hidden from the peer; our own proxy is told (RFC 3323, 3325)."""
    wanted = ['From: *"Anonymous" *<sip:anonymous@anonymous[.]invalid>', "Privacy: *id", "Contact: *<sip:anonymous@"]
    wanted += ["P-Preferred-Identity: *<sip:me@phones[.]test>"] if is_told else []
    with SIPp(ended(Scenario("hidden").wants("INVITE", *wanted).reply("200 OK", body=sdp()).wants("ACK"))) as sipp:
        proxy = f';outbound="{sipp.uri}"' if is_told else ""
        with agent(account=f"<sip:me@phones.test>;regint=0;privacy=id{proxy}") as alice:
            alice.command("/dial sip:her@phones.test" if is_told else f"/dial {sipp.uri}")
            alice.wait_for("established")
            alice.command("/hangup")
            sipp.finish()
            trace = alice.output()
    check(is_told or ("P-Preferred-Identity" not in trace and "phones.test" not in trace.split("INVITE", 1)[1]), "a stranger is told")


# Many calls

LONG = bool(os.environ.get("APUS_LONG"))
CALLS, RATE = (1000, 20) if LONG else (200, 40)


def many_called():
    called("uac", extra=MANY, calls=CALLS, options=("-r", RATE, "-d", 500), seconds=CALLS // RATE + 50)
    return f"{CALLS} calls at {RATE} a second"


def many_calling():
    # All hang up within a second: what SIPp's socket has no room for is lost, and comes again.
    with SIPp("uas", calls=CALLS, seconds=CALLS // RATE + 60, options=("-rtp_echo",)) as sipp:
        report = apus("load", "--to", sipp.uri, "--calls", CALLS, "--rate", RATE, "--seconds", 1, "--codec", "pcmu", "--json",
                      limit=CALLS // RATE + 60).json()
        sipp.finish()
    check(report["summary"]["established"] == CALLS and report["summary"]["failed"] == 0, f"{report['summary']}")
    return f"{CALLS} calls at {RATE} a second, all within one at the end"


report = Report()
cases = [
    ("100rel and PRACK, called", reliable_provisional),
    ("UPDATE, called", update),
    ("session timer, called", session_timer),
    ("session timer, refreshed by Apus, called", refreshed_by_apus),
    ("session timer, refreshed by the peer, calling", refreshed_by_peer),
    ("REFER and NOTIFY, called", refer),
    ("REFER that is not allowed, called", refer_refused),
    ("Replaces of no call, called", replaces),
    ("Replaces of a call, called", taken_over),
    ("an extension that nobody knows, called", unknown_extension),
    ("MESSAGE, called", message),
    ("SUBSCRIBE to what is not there, called", subscribe),
    ("digits by INFO, called", info_digits),
    ("digest asked for, called", asks_for_digest),
    ("late CANCEL, called", late_cancel),
    ("lost ACK, called", lost_acknowledgement),
    ("messages that are lost, called", lossy),
    ("302, calling", redirected),
    ("401 to REGISTER, registering", digest_accepted),
    ("401, calling", challenged, 401, "Authorization"),
    ("407, calling", challenged, 407, "Proxy-Authorization"),
    ("CANCEL and answer cross, calling", cancel_crosses_answer),
    ("forked, calling", forked),
    ("491, calling", glare),
    ("lost INVITE, calling", lost_invite),
    ("100rel and PRACK, calling", acknowledges_provisional),
    ("UPDATE, calling", is_updated),
    ("REFER and NOTIFY, calling", transfers),
    ("REFER that fails, calling", transfer_fails),
    ("REFER with Replaces, calling", transfers_attended),
    ("MESSAGE, calling", sends_message),
    ("digits by INFO, calling", sends_digits_by_info),
    ("OPTIONS, calling", asks_for_options),
    ("registrar and mailbox, calling", mailbox),
    ("Path, Service-Route and GRUU, calling", told_where),
    ("privacy, our proxy is told, calling", hides, True),
    ("privacy, a stranger is not, calling", hides, False),
    ("many calls, called", many_called),
    ("many calls, calling", many_calling),
]
report.run([case for case in cases if not sys.argv[1:] or any(word in case[0] for word in sys.argv[1:])], at_once=6)
report.finish()
