#!/usr/bin/env python3
"""Presence between Apus and baresip, whose module presence.so watches Apus and is watched by it; calls between two Apus."""
import re

from lab import Report, check, wait_for
from peers import MODULES, ApusRun, Baresip


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


report = Report()
report.run([
    ("Apus watches baresip", watched_by_apus),
    ("baresip watches Apus", watched_by_baresip),
    ("a stranger is refused", stranger),
    ("a lamp for calls", lamp),
], at_once=2)
report.finish()
