#!/usr/bin/env python3
"""What people hear in calls between two `apus run`: speech both ways, scored by PESQ against the file that was played.

Every call is made over real SIP; the calls run side by side, the scoring comes after them."""
import os
import time
from concurrent.futures import ProcessPoolExecutor

from lab import MODES, Report, check, score
from peers import ApusRun

SECONDS = 17.0  # the speech lasts 16.4
WANTED = {"pcmu": 3.9, "pcma": 3.7, "opus": 4.2}
BITRATE = "opus_bitrate 64000\n"


def call(name, mediaenc, codec, mode, extra=""):
    """Makes a call and returns what to score."""
    with ApusRun(mode, mediaenc, codec, extra=BITRATE + extra) as bob:
        with ApusRun(mode, mediaenc, codec, extra=BITRATE + extra, dial=bob.uri) as alice:
            time.sleep(SECONDS)
    for each in (alice, bob):
        check(each.code == 0, f"apus run ended with {each.code}: {each.output()[-300:]!r}")
        check("lost 0, dropped 0" in each.output(), f"it lost or dropped something: {each.output()[-300:]!r}")
        check((mediaenc == "none") != ("secured by" in each.output()), f"not as secure as asked: {each.output()[-300:]!r}")
    heard[name] = [(who.recording(), codec) for who in (alice, bob)]


def scores(name):
    return min(each.result() for each in scored[name])


def judge(name, codec):
    check(name in scored, "there was no call to score")
    both = [each.result() for each in scored[name]]
    check(min(both) >= WANTED[codec], f"PESQ {both[0]:.2f} and {both[1]:.2f}, wanted {WANTED[codec]}")
    return f"PESQ {both[0]:.2f} and {both[1]:.2f}"


def as_good(name, than):
    check(name in scored and than in scored, "there was no call to score")
    check(scores(name) >= scores(than) - 0.1, f"PESQ {scores(name):.2f}, {scores(than):.2f} with the fixed jitter buffer")
    return f"PESQ {scores(name):.2f}, fixed {scores(than):.2f}"


calls = [(f"{codec}, dtls_srtp, {mode}", "dtls_srtp", codec, mode) for mode in MODES for codec in ("pcmu", "opus")]
calls += [(f"{codec}, {way}, thread", way, codec, "thread") for way in ("srtp-mand", "none") for codec in ("pcmu", "opus")]
calls += [("pcma, dtls_srtp, thread", "dtls_srtp", "pcma", "thread")]
calls += [(f"{codec}, jitter buffer {kind}", "dtls_srtp", codec, "thread", f"audio_jitter_buffer_type {kind}\n")
          for kind in ("adaptive", "off") for codec in ("pcmu", "opus")]
heard = {}
report = Report()
report.run([(f"call, {each[0]}", call, *each) for each in calls], at_once=8)
with ProcessPoolExecutor(os.cpu_count()) as pool:
    scored = {name: [pool.submit(score, *each) for each in both] for name, both in heard.items()}
    report.run([(each[0], judge, each[0], each[2]) for each in calls])
    report.run([(f"{codec}, adaptive as good as fixed", as_good, f"{codec}, jitter buffer adaptive", f"{codec}, dtls_srtp, thread")
                for codec in ("pcmu", "opus")])
report.finish()
