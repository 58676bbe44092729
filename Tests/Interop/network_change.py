#!/usr/bin/env python3
"""A host whose address changes in the middle of a call: `ip addr` in a network namespace, and a peer in another one.

The call goes on from the new address, heard both ways, in every media encryption; then the peer hangs up.
"""
import re, subprocess, time

from lab import APUS, Namespace, Report, check, free_ports, fresh, start, wait_for
from peers import ApusRun, apus_folder

OLD, NEW, PEER = "10.77.0.1", "10.77.0.9", "10.77.0.2"


def ip(namespace, *words):
    subprocess.run(["ip", "-n", namespace.name, *words], check=True)


class Roaming(ApusRun):
    """`apus run` that listens on every address, and calls."""

    def __init__(self, mode, mediaenc, namespace, target):
        self.port, self.folder, self.namespace = free_ports(2), fresh("roaming"), namespace
        apus_folder(self.folder, self.port, mode, mediaenc, "pcmu", host="0.0.0.0")
        config = self.folder / "config"
        config.write_text(config.read_text().replace("net_interface 0.0.0.0\n", ""))
        command = [APUS, "run", "-s", "-f", self.folder, "-e", f"/dial {target}"]
        self.process = start(command, self.folder / "apus", namespace, stdin=subprocess.PIPE)


def received(each):
    """How many packets its call has received by now."""
    def figures():
        return re.findall(r"received (\d+), lost", each.output())

    before = len(figures())
    each.command("/callstat")
    time.sleep(0.4)  # the transport tells its figures a moment after it was asked
    each.command("/callstat")
    wait_for(lambda: len(figures()) >= before + 2, 5, "its figures")
    return int(figures()[-1])


def moves(mode, mediaenc):
    with Namespace() as here, Namespace() as there:
        ip(here, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", there.name)
        for namespace, address in ((here, OLD), (there, PEER)):
            ip(namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            ip(namespace, "link", "set", "eth0", "up")
        with ApusRun(mode, mediaenc, "pcmu", namespace=there, host=PEER) as bob:
            with Roaming(mode, mediaenc, here, bob.uri) as alice:
                alice.wait_for("established")
                wait_for(lambda: received(alice) > 50, 10, "media before the change")
                ip(here, "addr", "del", f"{OLD}/24", "dev", "eth0")
                time.sleep(0.2)
                ip(here, "addr", "add", f"{NEW}/24", "dev", "eth0")
                changed = time.monotonic()
                wait_for(lambda: f"c=IN IP4 {NEW}" in alice.output(), 10, "an offer of the new address")
                check(f"Contact: <sip:bob@{NEW}:" in alice.output(), "Contact names the new address")
                offered = time.monotonic() - changed
                time.sleep(1.5)
                first = received(alice), received(bob)
                time.sleep(2)
                second = received(alice), received(bob)
                for name, before, after in zip(("here", "there"), first, second):
                    check(after - before > 80, f"{name}: {after - before} packets in over 2 s after the change")
                bob.command("/hangup")
                for each in (alice, bob):
                    each.wait_for("ended, hangup")
    return f"offered {offered:.1f} s after the change"


report = Report()
report.run([(f"a call moves, {mediaenc}, rtp_rxmode {mode}", moves, mode, mediaenc)
            for mode, mediaenc in (("main", "none"), ("thread", "srtp-mand"), ("pool", "dtls_srtp"))], at_once=3)
report.finish()
