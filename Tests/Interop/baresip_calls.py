#!/usr/bin/env python3
"""Debian's baresip calls Apus and is called by it: each way of encryption, codec and receive mode, scored by PESQ.

--control runs baresip against itself only, which proves the harness and the thresholds."""
import re
import sys
import time

from lab import MODES, Report, apus, check, fresh, score
from peers import ApusRun, Baresip, packet_counts

SECONDS = 10
THRESHOLD = {"pcmu": 3.7, "opus": 3.6}


def judge(who, path, codec):
    value = score(path, codec)
    check(value >= THRESHOLD[codec], f"what {who} heard scores {value:.2f}, wanted {THRESHOLD[codec]}")
    return f"{who} heard {value:.2f}"


def judge_baresip(baresip, mediaenc, codec):
    check(baresip.secured(mediaenc), f"baresip does not say that {mediaenc} is on: {baresip.output()[-300:]!r}")
    counts = packet_counts(baresip)
    check(counts["packets"][1] >= 49 * (SECONDS - 1), f"baresip received {counts['packets'][1]} packets")
    check(counts["errors"] == (0, 0) and counts["lost"] == (0, 0), f"baresip counted {counts}")
    return judge("baresip", baresip.recording(), codec)


def baresip_with_itself(mediaenc, codec):
    with Baresip(mediaenc, codec, SECONDS + 4) as bob:
        with Baresip(mediaenc, codec, SECONDS, answers=False, dial=bob.uri, user="alice") as alice:
            alice.process.wait(SECONDS + 10)
        bob.process.wait(10)
    return judge_baresip(alice, mediaenc, codec) + ", " + judge_baresip(bob, mediaenc, codec)


def apus_calls(mediaenc, codec, mode):
    folder = fresh("apus-call")
    with Baresip(mediaenc, codec, SECONDS + 8) as bob:
        result = apus(
            "call", bob.uri, "--mediaenc", mediaenc, "--codec", codec, "--rxmode", mode, "--record", folder / "heard.wav",
            "--seconds", SECONDS, "--json", folder=folder, limit=SECONDS + 10)
        time.sleep(0.3)
    report = result.json()
    check(result.code == 0 and report["ok"], f"exit {result.code}: {result.err[-300:]!r}")
    call = report["calls"][0]
    check(call["mediaenc"] == mediaenc and call["rxmode"] == mode and call["codec"].lower().startswith(codec), f"{call}")
    # baresip 1.0.0 sends two RTCP packets of a call in the clear: its first and its last.
    plaintext = call["drops"].pop("plaintext")
    check(call["rx"]["lost"] == 0 and not any(call["drops"].values()), f"rx {call['rx']}, drops {call['drops']}")
    check(plaintext <= (0 if mediaenc == "none" else 2), f"{plaintext} packets in the clear")
    return judge("apus", folder / "heard.wav", codec) + ", " + judge_baresip(bob, mediaenc, codec)


def baresip_calls(mediaenc, codec, mode):
    with ApusRun(mode, mediaenc, codec) as bob:
        with Baresip(mediaenc, codec, SECONDS, answers=False, dial=bob.uri, user="alice") as alice:
            alice.process.wait(SECONDS + 10)
        time.sleep(0.5)
    check(bob.code == 0, f"apus run ended with {bob.code}: {bob.output()[-300:]!r}")
    return judge("apus", bob.recording(), codec) + ", " + judge_baresip(alice, mediaenc, codec)


def levels(mode, calls):
    """Each tells the other how loud its audio is (RFC 6464): Apus a tone of -15 dBov, baresip its speech."""
    ways = dict(extra="audio_level yes\n")
    with ApusRun(mode, "srtp-mand", "pcmu", source="ausine,1000", **ways) as bob, \
            Baresip("srtp-mand", "pcmu", 8, answers=calls, dial=None if calls else bob.uri, user="alice", **ways) as alice:
        if calls:
            bob.command(f"/dial {alice.uri}")
        bob.wait_for("the peer is heard")
        heard = []
        for _ in range(5):
            time.sleep(0.5)
            bob.command("/callstat")
            heard += re.findall(r"level (-[\d.]+) dBov", alice.command("audio_debug"))
    told = [int(each) for each in re.findall(r"the peer at (-?\d+) dBov", bob.output())]
    check(len(heard) >= 3 and set(heard) == {"-15.000"}, f"baresip is told {heard} dBov of a tone of -15")
    check(len(told) >= 3 and -60 < max(told) < -3, f"apus is told {told} dBov of speech")
    return f"baresip is told {heard[-1]}, apus up to {max(told)} dBov"


report = Report()
ways = ["none", "srtp", "dtls_srtp"]
cases = [(f"baresip with itself, {way}, {codec}", baresip_with_itself, way, codec)
         for way in (ways if "--control" in sys.argv else ["dtls_srtp"]) for codec in ("opus", "pcmu")]
if "--control" not in sys.argv:
    for mode in MODES:
        for way in ways + (["srtp-mand", "srtp-mandf"] if mode == "thread" else []):
            for codec in ("opus", "pcmu"):
                cases.append((f"apus calls baresip, {way}, {codec}, {mode}", apus_calls, way, codec, mode))
                cases.append((f"baresip calls apus, {way}, {codec}, {mode}", baresip_calls, way, codec, mode))
        for calls in (True, False):
            cases.append((f"audio levels, {'apus calls' if calls else 'baresip calls'}, {mode}", levels, mode, calls))
report.run(cases, at_once=6)
report.finish()
