#!/usr/bin/env python3
"""The case that WebRTC with receive threads was given up for elsewhere: two programs, ICE and DTLS-SRTP, 20 calls at once, again and
again (APUS_LONG=1: 50 times in `thread`). Nothing is lost, and neither descriptors, threads nor memory grow."""
import os
import pathlib
import re
import time

from lab import MODES, Listener, Namespace, Report, check, wait_for
from peers import ApusRun

CALLS = 20
ROUNDS = {mode: 3 for mode in MODES}
if os.environ.get("APUS_LONG") == "1":
    ROUNDS["thread"] = 50
MODULES = ("opus", "g711", "dtls_srtp", "ice", "aufile", "ausine", "aubridge")
ENDED = re.compile(r"ended, ([^;\n]+)(?:; [\d.]+ s, sent (\d+), received (\d+), lost (\d+), dropped (\d+))?")


class Side(ApusRun):
    def __init__(self, mode, namespace, tone):
        super().__init__(
            mode, "dtls_srtp", "pcmu", namespace=namespace, modules=MODULES, ports=200,
            extra="call_max_calls 0\ncall_hold_other_calls no\navt_bundle yes\n",
            parameters=f";answermode=auto;medianat=ice;rtcp_mux=yes;audio_source=ausine,{tone};audio_player=aubridge,room")

    def count(self, words):
        return self.output().count(words)

    def ended(self):
        return ENDED.findall(self.output())

    def usage(self):
        """Descriptors, threads, resident KiB."""
        where = pathlib.Path(f"/proc/{self.process.pid}")
        status = (where / "status").read_text()
        return (len(list((where / "fd").iterdir())), int(re.search(r"^Threads:\s+(\d+)", status, re.M)[1]),
                int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1]))


def one_round(alice, bob, number):
    for _ in range(CALLS):
        alice.command(f"/dial {bob.uri}")
    for side in (alice, bob):
        wait_for(lambda: side.count("the peer is heard") == number * CALLS, 20, f"all of round {number} are heard by the peer")
    time.sleep(1)
    (alice if number % 2 else bob).command("/hangupall")
    for side in (alice, bob):
        wait_for(lambda: len(side.ended()) == number * CALLS, 10, f"every call of round {number} is over")


def checked(listener):
    """That every call's ends have each had a check of theirs answered (RFC 8489: a binding success)."""
    ports = {each.target for each in listener.datagrams if each.payload[:2] == b"\x01\x01"}
    check(len(ports) >= 2 * CALLS, f"checks were answered to {len(ports)} ports, not to those of {CALLS} calls")


def rounds(mode, count):
    with Namespace() as namespace, Side(mode, namespace, 440) as alice, Side(mode, namespace, 880) as bob:
        with Listener(namespace) as listener:
            one_round(alice, bob, 1)
        checked(listener)
        time.sleep(1)
        before = [side.usage() for side in (alice, bob)]
        for number in range(2, count + 1):
            one_round(alice, bob, number)
        time.sleep(1)
        after = [side.usage() for side in (alice, bob)]
        check(alice.process.poll() is None and bob.process.poll() is None, "a program is gone")
        received = 0
        for side in (alice, bob):
            for reason, sent, heard, lost, dropped in side.ended():
                check(reason == "hangup" and (lost, dropped) == ("0", "0") and min(int(sent), int(heard)) > 25,
                      f"ended, {reason}: sent {sent}, received {heard}, lost {lost}, dropped {dropped}")
                received += int(heard)
    for (descriptors, threads, resident), (more_descriptors, more_threads, more_resident) in zip(before, after):
        check(more_descriptors <= descriptors and more_threads <= threads and more_resident <= resident + 8 * 1024,
              f"grew: {before} to {after}")
    return f"{count * CALLS} calls, {received} packets, resident {before[0][2]} to {after[0][2]} KiB"


report = Report()
report.run([(f"{count} rounds of {CALLS} calls, ice, dtls_srtp, {mode}", rounds, mode, count) for mode, count in ROUNDS.items()])
report.finish()
