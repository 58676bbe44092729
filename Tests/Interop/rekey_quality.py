#!/usr/bin/env python3
"""In real time: what is heard of a call that is re-keyed all the time, against the same call with one key. Nothing is lost, what
came is recorded at its length but for what the jitter buffer holds at the end, the speech runs beside the other call's from
end to end, and it scores as well by PESQ.

APUS_LONG=1 calls with each codec in each mode, not with one of them."""
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from lab import MODES, Report, align, apus, check, fresh, load, reference, score

SECONDS = 12
WAYS = ("srtp", "dtls_srtp")
CODECS = {"pcmu": 8000, "opus": 48000}
LONG = os.environ.get("APUS_LONG") == "1"
SLIP, PESQ = 0.020, 0.05  # seconds, and points
# Seconds that a jitter buffer may hold at the hang-up: they came, and are not played any more.
HELD = 0.1
METHODS = {"one key": [], "re-keyed by INVITE": ["--rekey-every", 20],
           "re-keyed by UPDATE": ["--rekey-every", 20, "--rekey-method", "update"]}


def call(key, options):
    way, codec, mode, method = key
    folder = fresh("rekey-quality")
    result = apus("demo", "--json", "--mediaenc", way, "--codec", codec, "--rxmode", mode, "--seconds", SECONDS, *options,
                  limit=SECONDS + 15, folder=folder)
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    report = result.json()
    for each in report["calls"]:
        each["drops"].pop("ended")  # the last change may be under way at the hang-up
        check(each["rx"]["lost"] == each["rx"]["late"] == 0, f"lost or late: {each['rx']}")
        check(not any(each["drops"].values()), f"drops: {each['drops']}")
    both = counts[key] = [each["rekeys"] for each in report["calls"]]
    # Each end counts what it heard; the one that is under way at the hang-up may have reached one of them only.
    check(report["rekeys"] == min(both) and max(both) - min(both) <= 1, f"the ends count {both}, the demo {report['rekeys']}")
    check((min(both) >= SECONDS * 5) if options else max(both) == 0, f"{both} re-keys")
    # Bob's: he hears the speech.
    recordings[key] = report["recordings"][1], report["calls"][1]["rx"]["packets"] * 0.02
    return f"{counts[key]} re-keys"


def lag(heard, rate, part):
    """Where the speech is in a part of the recording, in seconds."""
    known, count = reference(rate), 4 * rate
    start = 0 if part == "first" else len(heard) - count
    window = heard[start : start + count]
    products = np.fft.irfft(np.fft.rfft(known, 1 << 21) * np.conj(np.fft.rfft(window, 1 << 21)))
    return (start - int(np.argmax(products[: len(known)]))) / rate


def measure(path, seconds, codec):
    """How much longer the recording is than what came, how far the speech slips in it, in seconds, and PESQ."""
    rate = CODECS[codec]
    heard = load(path, rate)
    return len(heard) / rate - seconds, lag(heard, rate, "last") - lag(heard, rate, "first"), score(path, codec)


def judge(key):
    plain = (*key[:3], "one key")
    check(key in figures and plain in figures, "there was no call to judge")
    (length, slip, points), (wanted, other, best) = figures[key].result(), figures[plain].result()
    note = f"{length - wanted:+.3f} s, slip {slip - other:+.4f} s, PESQ {points:.3f} against {best:.3f}, re-keys {counts[key]}"
    check(-HELD <= length - wanted < SLIP + 0.001 and abs(slip - other) <= SLIP and points >= best - PESQ, note)
    return note


def wanted(way, codec, mode, method):
    turn = list(CODECS)[(MODES.index(mode) + WAYS.index(way)) % 2]
    return (method != "re-keyed by UPDATE" or way == "srtp") and (LONG or codec == turn)


recordings, counts = {}, {}
keys = [(way, codec, mode, method) for way in WAYS for codec in CODECS for mode in MODES for method in METHODS
        if wanted(way, codec, mode, method)]
report = Report(is_whole=True)
report.run([(f"call, {', '.join(key)}", call, key, METHODS[key[3]]) for key in keys], at_once=3)
with ProcessPoolExecutor(os.cpu_count()) as pool:
    figures = {key: pool.submit(measure, *what, key[1]) for key, what in recordings.items()}
    report.run([(", ".join(key), judge, key) for key in keys if key[3] != "one key"])
report.finish()
