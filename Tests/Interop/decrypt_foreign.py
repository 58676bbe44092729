#!/usr/bin/env python3
"""Others can read what Apus encrypts, and only with the keys: libsrtp opens captured SDES calls with the keys of their SDP,
and a peer in Python keys by DTLS in both roles, opens what Apus sends, and is heard by Apus.

--control tries the instruments on baresip."""
import re
import sys
import time

import pylibsrtp

from foreign import PROFILES, Description, ForeignPeer, session
from lab import (MODES, Listener, Namespace, Report, apus, check, decode_all, decode_mu_law, fresh, load, rtp_payload,
                 tone_share, what_is_heard)
from peers import Baresip

SECONDS = 3
PLAIN_RTCP = 2  # baresip 1.0.0 sends a "PING" before it has keys and its BYE after it let go of them, both in the clear


def offered_keys(messages):
    """For each media port the profiles and keys that its owner announced, in order; those of answers that were sent only.

    RFC 4568: an answer has one crypto line, with the tag of the offer's line that it accepts."""
    keys, offers = {}, {}
    for message in dict.fromkeys(messages):  # once each, retransmissions apart
        if "m=audio" not in message:
            continue
        description = Description(message)
        check(all(not rest or "|" not in rest for *_, rest in description.cryptos), "an MKI or a lifetime is not expected")
        transaction = re.search(r"^CSeq\s*:\s*(.*?)\s*$", message, re.M)[1], re.search(r"^Call-ID\s*:\s*(.*?)\s*$", message, re.M)[1]
        if not message.startswith("SIP/2.0"):
            offers[transaction] = description
        elif message.startswith("SIP/2.0 200") and transaction in offers:
            offer = offers[transaction]
            for tag, suite, key in description.keys():
                check(suite in PROFILES, f"suite {suite}")
                keys.setdefault(description.port, []).append((suite, key))
                accepted = [(suite, key) for each, suite, key in offer.keys() if each == tag]
                check(len(accepted) == 1, f"the answer's tag {tag} is not in the offer")
                keys.setdefault(offer.port, []).extend(accepted)
    return {port: list(dict.fromkeys(each)) for port, each in keys.items()}


def open_capture(listener, generations=1, plain_rtcp=0):
    keys = offered_keys(listener.sip())
    flows = {ports: each for ports, each in listener.rtp_flows().items() if len(each) > 20}
    check(len(flows) == 2, f"{len(flows)} RTP flows")
    heard, used = [], []
    for (source, target), flow in flows.items():
        check(source in keys, f"no keys for port {source}: {sorted(keys)}")
        check(len(keys[source]) >= generations, f"{len(keys[source])} keys for port {source}, wanted {generations}")
        sessions = [session(suite, key) for suite, key in keys[source]]
        newest, payloads, counts = 0, [], [0] * len(sessions)
        for each in flow:
            for index in range(newest, len(sessions)):
                try:
                    payloads.append(rtp_payload(sessions[index].unprotect(each.payload)))
                    newest, counts[index] = index, counts[index] + 1
                    break
                except pylibsrtp.Error:
                    continue
        check(len(payloads) == len(flow), f"{len(flow) - len(payloads)} of {len(flow)} packets from port {source} do not open")
        check(sum(1 for count in counts if count) >= generations, f"packets by key: {counts}")
        used.append(counts)
        heard.append(what_is_heard(decode_all(payloads, "pcmu")))
        rtcp = [d for d in listener.datagrams if d.is_rtcp and d.source in (source, source + 1) and d.target in (target, target + 1)]
        closed = [each for each in rtcp if not any(opens_rtcp(one, each.payload) for one in sessions)]
        check(len(closed) <= plain_rtcp, f"{len(closed)} of {len(rtcp)} RTCP packets from port {source} do not open")
    return heard, used


def opens_rtcp(one, packet):
    try:
        one.unprotect_rtcp(packet)
        return True
    except pylibsrtp.Error:
        return False


def sdes(way, mode, rekey=None):
    options = ["--rekey-every", rekey] if rekey else []
    with Namespace() as namespace, Listener(namespace) as listener:
        result = apus("demo", "--json", "--mediaenc", way, "--codec", "pcmu", "--rxmode", mode, "--seconds", SECONDS, *options,
                      namespace=namespace, limit=SECONDS + 15)
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    heard, used = open_capture(listener, generations=3 if rekey else 1)
    check(sorted(each[0] for each in heard) == ["speech", "tone"], f"heard {heard}")
    if rekey:
        check(all(call["rekeys"] >= 2 and call["rx"]["lost"] == 0 and not any(call["drops"].values())
                  for call in result.json()["calls"]), f"{result.json()['calls']}")
    return f"all open, packets by key {used}"


def dtls(role, mode, profile):
    folder = fresh("foreign")
    with ForeignPeer(role, [profile]) as peer:
        result = apus("call", peer.uri, "--mediaenc", "dtls_srtp", "--codec", "pcmu", "--rxmode", mode, "--rtcp-mux", "yes",
                      "--seconds", SECONDS, "--record", folder / "heard.wav", "--json", limit=SECONDS + 15, folder=folder)
        time.sleep(0.1)
    check(peer.error is None, f"the foreign peer failed: {peer.error!r}")
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    call = result.json()["calls"][0]
    check(call["srtp_profile"] == profile, f"profile {call['srtp_profile']}, wanted {profile}")
    check(not any(call["drops"].values()), f"drops {call['drops']}")
    share, frequency = tone_share(load(folder / "heard.wav", 8000))
    check(share > 0.6 and abs(frequency - 1000) < 5, f"apus heard {share:.2f} of {frequency:.0f} Hz, wanted 1000 Hz")
    return judge_peer(peer, call["tx"]["packets"])


def judge_peer(peer, sent=None, plain_rtcp=0):
    check(peer.unopened == 0 and peer.plain == 0, f"{peer.unopened} packets do not open, {peer.plain} came before the keys")
    check(peer.unopened_rtcp <= plain_rtcp, f"{peer.unopened_rtcp} RTCP packets do not open")
    check(len(peer.payloads) >= 45 * SECONDS, f"only {len(peer.payloads)} packets")
    check(sent is None or 0 <= sent - len(peer.payloads) <= 1, f"apus sent {sent}, the peer opened {len(peer.payloads)}")
    kind, figures = what_is_heard(decode_all(peer.payloads, "pcmu"))
    check(kind == "speech", f"the peer heard {kind}: {figures}")
    return f"{len(peer.payloads)} packets and {peer.rtcp} RTCP opened, {figures}"


def baresip_sdes():
    with Namespace() as namespace, Listener(namespace) as listener:
        with Baresip("srtp-mand", "pcmu", SECONDS + 4, namespace=namespace) as bob:
            with Baresip("srtp-mand", "pcmu", SECONDS + 1, answers=False, dial=bob.uri, user="alice", namespace=namespace) as alice:
                alice.process.wait(SECONDS + 10)
    heard, used = open_capture(listener, plain_rtcp=PLAIN_RTCP)
    check([each[0] for each in heard] == ["speech", "speech"], f"heard {heard}")
    encrypted = [rtp_payload(each.payload) for flow in listener.rtp_flows().values() for each in flow]
    check(what_is_heard(decode_all(encrypted, "pcmu"))[0] == "noise", "ciphertext is understood")
    return f"packets by key {used}"


def baresip_plain(codec):
    """What the listeners of the other scripts rely on: in the clear they understand either codec."""
    with Namespace() as namespace, Listener(namespace) as listener:
        with Baresip("none", codec, SECONDS + 4, namespace=namespace) as bob:
            with Baresip("none", codec, SECONDS + 1, answers=False, dial=bob.uri, user="alice", namespace=namespace) as alice:
                alice.process.wait(SECONDS + 10)
    heard = [what_is_heard(decode_all([rtp_payload(each.payload) for each in flow], codec)) for flow in listener.rtp_flows().values()]
    check([each[0] for each in heard] == ["speech", "speech"], f"heard {heard}")
    return heard[0][1]


def baresip_dtls(role):
    with ForeignPeer(role, ["AES_CM_128_HMAC_SHA1_80"]) as peer:
        with Baresip("dtls_srtp", "pcmu", SECONDS + 1, answers=False, dial=peer.uri, user="alice", rtcp_mux="yes") as alice:
            alice.process.wait(SECONDS + 10)
            recording = alice.recording()
    check(peer.error is None, f"the foreign peer failed: {peer.error!r}")
    share, frequency = tone_share(load(recording, 8000))
    check(share > 0.6 and abs(frequency - 1000) < 5, f"baresip heard {share:.2f} of {frequency:.0f} Hz, wanted 1000 Hz")
    return judge_peer(peer, plain_rtcp=PLAIN_RTCP)


report = Report()
cases = [("control: baresip's SDES", baresip_sdes), ("control: baresip's DTLS", baresip_dtls, "active")]
if "--control" in sys.argv:
    cases += [("control: baresip in the clear, pcmu", baresip_plain, "pcmu"),
              ("control: baresip in the clear, opus", baresip_plain, "opus"),
              ("control: baresip's DTLS, passive", baresip_dtls, "passive")]
else:
    for mode in MODES:
        cases += [(f"sdes opened from a capture, {way}, {mode}", sdes, way, mode) for way in ("srtp", "srtp-mand", "srtp-mandf")]
        cases += [(f"sdes with a key a second, {mode}", sdes, "srtp-mand", mode, 800)]
        cases += [(f"dtls with a foreign peer, {role}, {profile}, {mode}", dtls, role, mode, profile)
                  for role in ("active", "passive") for profile in ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM")]
report.run([(case[0].replace(":", ","), *case[1:]) for case in cases], at_once=3)
report.finish()
