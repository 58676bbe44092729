#!/usr/bin/env python3
"""Presence between Apus and baresip, whose module presence.so watches Apus and is watched by it; calls watched by Apus and by SIPp."""
import re
import socket
import time

from lab import Background, Report, check, wait_for
from peers import MODULES, ApusRun, Baresip
from sipp import SIPp, Scenario


def watching(port, name="bob"):
    return f'"Peer" <sip:{name}@127.0.0.1:{port}>;presence=p2p'


def apus(**more):
    return ApusRun("main", "none", "pcmu", modules=(*MODULES, "presence.so"), **more)


def baresip(contacts):
    return Baresip("none", "pcmu", 60, user="carol", contacts=contacts,
                   extra="module_app contact.so\nmodule_app presence.so\n")


def status(peer):
    """What baresip shows of its only contact."""
    found = re.search(r"(Unknown|Online|Offline|Busy)", peer.command("contacts"))
    check(found, f"baresip lists no contact: {peer.command('contacts')!r}")
    return found[1]


def watched_by_apus():
    with baresip("") as carol, apus() as bob:
        bob.command("/siptrace on")
        bob.command(f"/addcontact {watching(carol.port, 'carol')}")
        # Until its user has said something, baresip 1.0.0 tells neither open nor closed but "?".
        bob.wait_for("<basic>?</basic>")
        changes = (("online", "Unknown", "Online"), ("offline", "Online", "Offline"), ("online", "Offline", "Online"))
        for word, before, after in changes:
            carol.command(f"presence_{word}")
            bob.wait_for(f"<sip:carol@127.0.0.1:{carol.port}> changed status from {before} to {after}")
        bob.command("/contacts")
        bob.wait_for('> Online   "Peer"')
        bob.command(f"/rmcontact sip:carol@127.0.0.1:{carol.port}")
        bob.wait_for("Subscription-State: terminated")
    check(bob.code == 0, f"exit {bob.code}")


def watched_by_baresip():
    with apus() as bob:
        with baresip(watching(bob.port) + "\n") as carol:
            bob.command(f"/addcontact <sip:carol@127.0.0.1:{carol.port}>")
            wait_for(lambda: status(carol) == "Online", 45, "baresip shows Apus as Online")
            for word, shown in (("busy", "Busy"), ("away", "Offline"), ("online", "Online"), ("offline", "Offline")):
                bob.command(f"/presence {word}")
                wait_for(lambda: status(carol) == shown, 5, f"baresip shows {shown} for {word}")
            bob.wait_for("presence: Offline, 1 watchers")
    check(bob.code == 0, f"exit {bob.code}")


def stranger():
    with apus() as bob, baresip(watching(bob.port) + "\n") as carol:
        wait_for(lambda: "403 Forbidden" in carol.output(), 10, "baresip is refused")
        check(status(carol) == "Unknown", f"baresip shows {status(carol)}")


def lamp():
    """One Apus watches another's calls with a baresip."""
    with Baresip("none", "pcmu", 30, user="carol") as carol, apus() as bob, apus() as alice:
        bob.command(f"/addcontact <sip:bob@127.0.0.1:{alice.port}>")
        alice.command(f"/addcontact <sip:bob@127.0.0.1:{bob.port}>;dialog=p2p")
        alice.wait_for("changed calls from unknown to idle")
        bob.command(f"/dial {carol.uri}")
        alice.wait_for("to confirmed")
        carol.command("hangup")
        alice.wait_for("changed calls from confirmed to idle")


def watched_by_sipp():
    """What a phone system's lamp sees on the wire: whole documents in order, with what the other end is left out."""
    scenario = Scenario("dialog").request(
        "SUBSCRIBE", 1, "Event: dialog", "Accept: application/dialog-info+xml", "Expires: 600", first=True)
    scenario.wants(200, "Expires: *600").wants(
        "NOTIFY", "Event: *dialog", "Subscription-State: *active;expires=", 'version="0" state="full"').reply("200 OK", tag="")
    for version, state in ((1, "trying"), (2, "terminated")):
        scenario.wants("NOTIFY", f'version="{version}" state="full"',
                       f'direction="initiator"><state>{state}</state>').reply("200 OK", tag="")
    scenario.request("SUBSCRIBE", 2, "Event: dialog", "Expires: 0").wants(200, "Expires: *0")
    scenario.wants("NOTIFY", "Subscription-State: *terminated").reply("200 OK", tag="")
    with apus() as bob:
        bob.command("/addcontact <sip:sipp@127.0.0.1>")
        bob.wait_for("added")
        with SIPp(scenario, bob.port) as sipp:
            bob.command("/presence")
            for _ in range(50):
                if "Online, 1 watchers" in bob.output():
                    break
                time.sleep(0.1)
                bob.command("/presence")
            # Nobody listens there.
            bob.command("/dial sip:nobody@127.0.0.1:9")
            sipp.finish()
    check(bob.code == 0, f"exit {bob.code}")


class Compositor(Background):
    """Takes what is published at a UDP port (RFC 3903), once with a digest; what it refuses, it says before `answers`."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port, self.taken, self.answers, self.tag = self.socket.getsockname()[1], [], [], None
        super().__init__()

    def run(self):
        while not self.is_ended:
            try:
                data, source = self.socket.recvfrom(65536)
            except socket.timeout:
                continue
            head, body = data.decode().split("\r\n\r\n", 1)
            lines = head.split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:])
            check(lines[0].startswith("PUBLISH "), f"{lines[0]!r} came")
            status, more = self.answers.pop(0) if self.answers else ("200 OK", [])
            if "SIP-If-Match" in fields and fields["SIP-If-Match"] != self.tag:
                status = "412 Conditional Request Failed"
            if status == "200 OK":
                self.tag = f"tag{len(self.taken)}"
                more = more + [f"SIP-ETag: {self.tag}", f"Expires: {fields['Expires']}"]
                state = re.search("<basic>(.*)</basic>", body)
                self.taken.append((fields["Expires"], state and state[1], "Authorization" in fields))
            reply = [f"SIP/2.0 {status}", *(f"{each}: {fields[each]}" for each in ("Via", "From", "To", "Call-ID", "CSeq")), *more]
            self.socket.sendto(("\r\n".join([*reply, "Content-Length: 0"]) + "\r\n\r\n").encode(), source)


def published():
    """What a compositor gets: the state, refreshes by their tag, a change, all of it anew after 412, and the end."""
    with Compositor() as compositor:
        compositor.answers = [("423 Interval Too Brief", ["Min-Expires: 4"]),
                              ("401 Unauthorized", ['WWW-Authenticate: Digest realm="lab", nonce="abc", qop="auth", algorithm=MD5'])]
        line = f"<sip:bob@127.0.0.1:{compositor.port}>;regint=0;pubint=3;auth_pass=secret\n"
        with apus(account=line) as bob:
            wait_for(lambda: len(compositor.taken) >= 3, 10, "it is published, and refreshed twice")
            compositor.tag = "another"
            bob.command("/presence offline")
            wait_for(lambda: ("4", "closed") in [each[:2] for each in compositor.taken], 10, "it is published anew")
        taken = compositor.taken
    check(taken[0] == ("4", "open", True) and taken[1][:2] == ("4", None), f"it took {taken}")
    check(taken[-1][:2] == ("0", None), f"it took {taken}")
    check(bob.code == 0 and "not published" not in bob.output(), f"exit {bob.code}: {bob.output()[-300:]!r}")
    return f"{len(taken)} taken"


report = Report()
report.run([
    ("a compositor is told", published),
    ("Apus watches baresip", watched_by_apus),
    ("baresip watches Apus", watched_by_baresip),
    ("a stranger is refused", stranger),
    ("a lamp for calls", lamp),
    ("SIPp watches calls of Apus", watched_by_sipp),
], at_once=2)
report.finish()
