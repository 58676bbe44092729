#!/usr/bin/env python3
"""From INVITE to the first secured RTP: at most 50 ms, in every receive mode, between two Apus and towards baresip."""
from lab import MODES, Namespace, Report, apus, check, fresh
from peers import Baresip

LIMIT = 50.0
WAYS = ("srtp-mand", "dtls_srtp")


def judge(result):
    report = result.json()
    check(result.code == 0 and report["ok"], f"exit {result.code}: {result.err[-300:]!r}")
    times = [call["secure_ms"] for call in report["calls"]]
    check(all(isinstance(each, (int, float)) and 0 < each <= LIMIT for each in times), f"secure_ms {times}, allowed {LIMIT}")
    return ", ".join(f"{each:.1f} ms" for each in times)


def between_apus(way, mode):
    with Namespace() as namespace:
        return judge(apus("demo", "--json", "--mediaenc", way, "--codec", "pcmu", "--rxmode", mode, "--seconds", 1,
                          namespace=namespace))


def towards_baresip(way, mode):
    with Baresip(way, "pcmu", 8) as bob:
        return judge(apus("call", bob.uri, "--json", "--mediaenc", way, "--codec", "pcmu", "--rxmode", mode, "--seconds", 1,
                          folder=fresh("setup")))


report = Report()
report.run([(f"{name}, {way}, {mode}", body, way, mode)
            for name, body in (("between two apus", between_apus), ("towards baresip", towards_baresip))
            for way in WAYS for mode in MODES])
report.finish()
