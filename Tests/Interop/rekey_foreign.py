#!/usr/bin/env python3
"""Keys of running streams change with a peer that shares no line with Apus: it signals in Python and its media end is libsrtp. By SDES it offers new keys or answers them (by UPDATE only where it allows that), keeps its rollover counter or restarts it, gives its
keys identifiers and lifetimes, and may send under its new key before its 200 leaves. By DTLS, in pyOpenSSL, each new association runs on new ports, named by a tls-id or
by its certificate alone, in either role or in both by turns. Nothing that arrives may be lost."""
import time

from lab import MODES, Report, apus, check, decode_all, fresh, load, tone_share, what_is_heard
from dtls_rekeying import DTLSRekeyingPeer
from rekeying import EVERY, GCM, SHA1_32, SHA1_80, RekeyingPeer

SECONDS = 6


def rekeyed(mode, kind, mediaenc, how):
    folder = fresh("rekey")
    with kind(**how) as peer:
        options = ["--rekey-every", int(EVERY * 1000)] if peer.does == "answers" else []
        options += ["--rekey-method", "update"] if options and mediaenc == "srtp-mand" else []
        result = apus("call", peer.uri, "--mediaenc", mediaenc, "--codec", "pcmu", "--rxmode", mode, "--rtcp-mux", "yes",
                      "--seconds", SECONDS, "--record", folder / "heard.wav", "--json", *options, limit=SECONDS + 15, folder=folder)
        time.sleep(0.1)
    check(peer.error is None, f"the foreign peer failed: {peer.error!r}")
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    call = result.json()["calls"][0]
    check(peer.changes >= 5, f"{peer.changes} changes of keys")
    check(peer.does == "offers" or peer.methods == {peer.method}, f"offers by {peer.methods}")
    check(peer.changes - 1 <= call["rekeys"] <= peer.changes, f"{call['rekeys']} re-keys counted of {peer.changes}")
    # The last change may be under way at the hang-up, and so may the peer's last packets; what is unread may be of a handshake.
    unread = call["drops"].pop("ended")
    check(call["rx"]["lost"] == 0 and not any(call["drops"].values()), f"lost {call['rx']['lost']}, drops {call['drops']}")
    received = call["rx"]["packets"]
    check(received <= peer.sent <= received + unread + 4, f"the peer sent {peer.sent}, apus received {received} and {unread} too late")
    check(peer.unopened == 0 and peer.unopened_rtcp == 0, f"{peer.unopened} packets do not open, RTCP {peer.unopened_rtcp}")
    check(0 <= call["tx"]["packets"] - len(peer.payloads) <= 1, f"apus sent {call['tx']['packets']}, {len(peer.payloads)} came")
    check(len(set(peer.opened)) >= peer.changes, f"{len(set(peer.opened))} keys used of {peer.changes + 1}")
    share, frequency = tone_share(load(folder / "heard.wav", 8000))
    check(share > 0.9 and abs(frequency - 1000) < 5, f"apus heard {share:.2f} of {frequency:.0f} Hz, wanted 1000 Hz")
    kind, figures = what_is_heard(decode_all(peer.payloads, "pcmu"))
    check(kind == "speech", f"the peer heard {kind}: {figures}")
    return f"{peer.changes} changes, {peer.sent} and {len(peer.payloads)} packets, tone {share:.3f}"


SDES = {
    "the peer offers by INVITE": {"does": "offers"},
    "the peer offers by UPDATE": {"does": "offers", "method": "UPDATE"},
    "the peer offers another suite each time": {"does": "offers", "suites": (SHA1_80, GCM, SHA1_32)},
    "the peer offers and restarts its rollover counter": {"does": "offers", "keeps_rollover": False},
    "the peer offers keys with identifiers and lifetimes": {"does": "offers", "suites": (SHA1_80, GCM, SHA1_32), "identifies": True},
    "the peer answers": {"does": "answers"},
    "the peer answers with another suite each time": {"does": "answers", "suites": (SHA1_80, GCM, SHA1_32)},
    "the peer answers and restarts its rollover counter": {"does": "answers", "keeps_rollover": False},
    "the peer answers with keys with identifiers and lifetimes": {"does": "answers", "identifies": True},
    "the peer sends under its new key before its answer": {"does": "answers", "early": 0.15},
    "the peer answers UPDATEs": {"does": "answers", "method": "UPDATE"},
    "the peer answers UPDATEs with another suite each time": {"does": "answers", "method": "UPDATE", "suites": (SHA1_80, GCM, SHA1_32)},
    "the peer answers UPDATEs with keys with identifiers and lifetimes": {"does": "answers", "method": "UPDATE", "identifies": True},
    "the peer sends under its new key before its answer to an UPDATE": {"does": "answers", "method": "UPDATE", "early": 0.15},
}

BOTH = ("active", "passive")
DTLS = {
    "the peer offers a new association": {"does": "offers"},
    "the peer offers a new association, as the server": {"does": "offers", "roles": ("passive",)},
    "the peer offers another role each time": {"does": "offers", "roles": BOTH},
    "the peer offers another certificate, without tls-id": {"does": "offers", "names": False, "roles": BOTH},
    "the peer offers another profile each time": {"does": "offers", "profiles": ((SHA1_80,), (GCM,), (SHA1_32,))},
    "the peer answers a new association": {"does": "answers"},
    "the peer answers as the server": {"does": "answers", "roles": ("passive",)},
    "the peer answers in another role each time, without tls-id": {"does": "answers", "names": False, "roles": BOTH},
}

report = Report()
cases = [(name, RekeyingPeer, "srtp-mand", how) for name, how in SDES.items()]
cases += [(f"DTLS, {name}", DTLSRekeyingPeer, "dtls_srtp", how) for name, how in DTLS.items()]
report.run([(f"{name}, {mode}", lambda mode=mode, rest=rest: rekeyed(mode, *rest))
            for name, *rest in cases for mode in MODES], at_once=6)
report.finish()
