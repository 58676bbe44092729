#!/usr/bin/env python3
"""Every way of encryption, codec and receive mode of `apus demo`, each in a network namespace of its own.

Three witnesses must agree: the program's counters, the kernel's, and a passive listener on the loopback. The listener also
tries to understand what it hears: it must where nothing is encrypted (the control), and must not anywhere else."""
from lab import MODES, Listener, Namespace, Report, apus, check, decode_all, rtp_payload, what_is_heard

SECONDS = 3
WAYS = ("none", "srtp", "srtp-mand", "srtp-mandf", "dtls_srtp")
TAGS = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4, "AEAD_AES_128_GCM": 16, "AEAD_AES_256_GCM": 16}


def judge_report(report, way, codec, mode):
    """What the program says about its two ends."""
    calls = report["calls"]
    check(report["ok"] is True and len(calls) == 2, f"ok {report['ok']}, {len(calls)} calls, wanted both sides of one")
    for call in calls:
        wanted = {"mediaenc": way, "rxmode": mode, "state": "ended"}
        check(all(call[key] == value for key, value in wanted.items()), f"wanted {wanted}: {call}")
        check(call["codec"].lower().startswith({"opus": "opus/48000/2", "pcmu": "pcmu/8000"}[codec]), f"codec {call['codec']}")
        if way == "none":
            check(not call["srtp_profile"], f"a profile without encryption: {call['srtp_profile']}")
        else:
            check(call["srtp_profile"] in TAGS, f"profile {call['srtp_profile']}")
        if way == "dtls_srtp":
            check(str(call["dtls_version"]).startswith("DTLSv1."), f"DTLS version {call['dtls_version']}")
        else:
            check(not call["dtls_version"], f"DTLS version {call['dtls_version']}")
        for direction in ("tx", "rx"):
            rate = call[direction]["packets"] / call["duration_s"]
            check(rate >= 49, f"{direction}: {rate:.1f} packets a second, {call[direction]['packets']} in {call['duration_s']} s")
        for counter in ("lost", "duplicate", "late"):
            check(call["rx"][counter] == 0, f"{counter}: {call['rx']}")
        check(not any(call["drops"].values()), f"drops: {call['drops']}")
    check(calls[0]["srtp_profile"] == calls[1]["srtp_profile"], "the two ends name two profiles")
    for sender, receiver in (calls, calls[::-1]):
        # The last packet can meet a socket that its owner has just closed.
        check(0 <= sender["tx"]["packets"] - receiver["rx"]["packets"] <= 1, f"sent {sender['tx']}, received {receiver['rx']}")


def judge_counters(report, before, after, listener):
    """What the kernel and the listener counted must be what the program says."""
    check(listener.missed == 0, f"the listener itself missed {listener.missed}")
    kernel = {name: after[name] - before[name] for name in after}
    seen, rtp = len(listener.datagrams), sum(map(len, listener.rtp_flows().values()))
    check(kernel["OutDatagrams"] == seen, f"the kernel sent {kernel['OutDatagrams']} datagrams, the listener saw {seen}")
    check(kernel["InErrors"] == kernel["RcvbufErrors"] == kernel["SndbufErrors"] == 0, f"the kernel's errors: {kernel}")
    check(kernel["NoPorts"] <= 2, f"{kernel['NoPorts']} datagrams met a closed port")
    # What an end says last can meet a socket that the other has just closed: an RTP packet, the RTCP BYE, DTLS's close_notify.
    check(seen - kernel["InDatagrams"] <= 6, f"{seen} datagrams sent, {kernel['InDatagrams']} read")
    sent = sum(call["tx"]["packets"] for call in report["calls"])
    received = sum(call["rx"]["packets"] for call in report["calls"])
    check(sent == rtp, f"the program says it sent {sent} RTP packets, the listener saw {rtp}")
    check(0 <= rtp - received <= 2, f"the listener saw {rtp} RTP packets, the program received {received}")
    return f"{rtp} RTP packets of {seen} datagrams"


def judge_sound(report, listener, way, codec):
    """What a stranger can make of the packets."""
    flows = {ports: each for ports, each in listener.rtp_flows().items() if len(each) > 20}
    check(len(flows) == 2, f"{len(flows)} RTP flows: {[(ports, len(each)) for ports, each in flows.items()]}")
    payloads = {ports: [rtp_payload(each.payload) for each in flow] for ports, flow in flows.items()}
    tag = TAGS.get(report["calls"][0]["srtp_profile"] or "", 0)
    if codec == "pcmu":
        lengths = {len(each) for flow in payloads.values() for each in flow}
        check(lengths == {160 + tag}, f"payloads of {sorted(lengths)} bytes, wanted {160 + tag}")
    heard = [what_is_heard(decode_all(flow, codec)) for flow in payloads.values()]
    if way == "none":
        check(sorted(each[0] for each in heard) == ["speech", "tone"], f"the control heard {heard}")
        return "a listener hears speech and a tone"
    check(all(each[0] == "noise" for each in heard), f"a listener understands {heard}")
    hellos = [each for each in listener.datagrams if each.is_dtls]
    check(bool(hellos) == (way == "dtls_srtp"), f"{len(hellos)} DTLS datagrams")
    return f"a listener hears noise, tag {tag}"


def cell(way, codec, mode):
    with Namespace() as namespace:
        before = namespace.udp_counters()
        with Listener(namespace) as listener:
            result = apus("demo", "--json", "--mediaenc", way, "--codec", codec, "--rxmode", mode, "--seconds", SECONDS,
                          namespace=namespace, limit=SECONDS + 15)
        after = namespace.udp_counters()
    report = result.json()
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    judge_report(report, way, codec, mode)
    counted = judge_counters(report, before, after, listener)
    return f"{counted}, {judge_sound(report, listener, way, codec)}"


report = Report()
report.run([(f"demo, {way}, {codec}, {mode}", cell, way, codec, mode)
            for way in WAYS for codec in ("opus", "pcmu") for mode in MODES], at_once=3)
report.finish()
