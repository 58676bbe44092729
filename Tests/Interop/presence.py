#!/usr/bin/env python3
"""Presence between Apus and baresip, whose module presence.so watches Apus and is watched by it; calls watched by Apus and by SIPp."""
import re
import time

from lab import Report, check, wait_for
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


report = Report()
report.run([
    ("Apus watches baresip", watched_by_apus),
    ("baresip watches Apus", watched_by_baresip),
    ("a stranger is refused", stranger),
    ("a lamp for calls", lamp),
    ("SIPp watches calls of Apus", watched_by_sipp),
], at_once=2)
report.finish()
