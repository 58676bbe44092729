#!/usr/bin/env python3
"""Debian's linphonec calls Apus and is called by it: SDES and DTLS-SRTP, in each receive mode, speech both ways."""
import time

from lab import MODES, Report, apus, check, fresh, load, speech_share
from linphone import Linphone, Network
from peers import ApusRun

SECONDS = 8
# What a peer must have heard of the speech, from 0 (nothing of it) to 1 (every sample).
AGREEMENT = 0.7


def judge(who, path, least=AGREEMENT):
    samples = load(path, 8000)
    check(len(samples) >= 8000 * (SECONDS - 3), f"what {who} recorded has {len(samples) / 8000:.1f} s")
    agreement = speech_share(samples)
    check(agreement >= least, f"what {who} heard agrees with the speech by {agreement:.2f}, wanted {least}")
    return f"{who} heard {agreement:.2f}"


def judge_linphone(linphone, mediaenc):
    said = {"srtp-mand": "Negotiated media encryption is LinphoneMediaEncryptionSRTP",
            "dtls_srtp": "DTLS Handshake on RTP channel successful"}[mediaenc]
    check(said in linphone.log(), f"linphonec's log does not have {said!r}")
    # It plays by its own thread's clock, which a busy machine disturbs.
    return judge("linphonec", linphone.recording(), 0.4)


def apus_calls(mediaenc, mode):
    with Network() as network, Linphone(network, mediaenc, answers=True) as linphone:
        folder = fresh("apus-call")
        result = apus("call", linphone.uri, "--mediaenc", mediaenc, "--codec", "pcmu", "--rxmode", mode, "--record",
                      folder / "heard.wav", "--seconds", SECONDS, "--json", folder=folder, namespace=network,
                      limit=SECONDS + 15)
        time.sleep(0.5)
    report = result.json()
    check(result.code == 0 and report["ok"], f"exit {result.code}: {result.err[-300:]!r}")
    call = report["calls"][0]
    check(call["mediaenc"] == mediaenc and call["rxmode"] == mode, f"{call}")
    # linphonec sends STUN to the media ports, with and without ICE.
    stun = call["drops"].pop("unknown")
    check(call["rx"]["lost"] == 0 and not any(call["drops"].values()), f"rx {call['rx']}, drops {call['drops']}")
    check(stun <= 10 * SECONDS, f"{stun} datagrams of an unknown kind")
    check(call["rx"]["packets"] >= 49 * (SECONDS - 2), f"{call['rx']['packets']} packets came")
    return judge("apus", folder / "heard.wav") + ", " + judge_linphone(linphone, mediaenc)


def linphone_calls(mediaenc, mode):
    with Network() as network, ApusRun(mode, mediaenc, "pcmu", namespace=network) as bob:
        with Linphone(network, mediaenc, answers=False) as linphone:
            linphone.command(f"call {bob.uri}")
            bob.wait_for("established")
            time.sleep(SECONDS)
            linphone.command("terminate")
            time.sleep(0.7)
    check(bob.code == 0, f"apus run ended with {bob.code}: {bob.output()[-300:]!r}")
    return judge("apus", bob.recording()) + ", " + judge_linphone(linphone, mediaenc)


report = Report()
cases = []
for mode in MODES:
    for way in ("srtp-mand", "dtls_srtp"):
        cases.append((f"apus calls linphonec, {way}, {mode}", apus_calls, way, mode))
        cases.append((f"linphonec calls apus, {way}, {mode}", linphone_calls, way, mode))
report.run(cases, at_once=6)
report.finish()
