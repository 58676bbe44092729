#!/usr/bin/env python3
"""Keys of running SDES streams change with a peer whose media end is GStreamer: srtpenc and srtpdec, told new keys while they run. It
offers new keys or answers them, in every receive mode. Nothing that arrives may be lost, at either end."""
import json
import pathlib
import subprocess
import time

from lab import MODES, Report, apus, check, decode_all, fresh, load, tone_share, what_is_heard
from rekeying import EVERY, GCM, SHA1_32, SHA1_80, RekeyingPeer

SECONDS = 6
MEDIA = pathlib.Path(__file__).with_name("gst_media.py")


class GStreamerPeer(RekeyingPeer):
    """Signals as the other peer does, and leaves media to a process of GStreamer's."""

    def __init__(self, **how):
        super().__init__(**how)
        self.process = subprocess.Popen(["/usr/bin/python3", MEDIA], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.figures = None
        self.port = json.loads(self.process.stdout.readline())["port"]

    def __exit__(self, *_):
        super().__exit__()
        self.figures = self.tell("end")
        _, self.said = self.process.communicate(timeout=10)

    def tell(self, do, **what):
        self.process.stdin.write(json.dumps({"do": do} | what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def media_port(self):
        return self.port

    def open(self, suite, key):
        self.tell("open", suite=suite, key=key.hex())

    def use(self, suite, key):
        self.tell("send", suite=suite, key=key.hex(), to=self.peer[1])
        self.key, self.profile = key, suite

    def send_next(self):
        """GStreamer sends by its own clock."""

    def fall_silent(self):
        self.tell("pause")


def rekeyed(mode, **how):
    folder = fresh("rekey")
    with GStreamerPeer(**how) as peer:
        options = ["--rekey-every", int(EVERY * 1000)] if peer.does == "answers" else []
        result = apus("call", peer.uri, "--mediaenc", "srtp-mand", "--codec", "pcmu", "--rxmode", mode, "--rtcp-mux", "yes",
                      "--seconds", SECONDS, "--record", folder / "heard.wav", "--json", *options, limit=SECONDS + 15, folder=folder)
        time.sleep(0.2)
    check(peer.error is None, f"the peer failed: {peer.error!r}")
    gst = peer.figures
    check(gst["error"] is None and not peer.said, f"GStreamer failed: {gst['error']} {peer.said[-300:]}")
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")
    call = result.json()["calls"][0]
    check(peer.changes >= 5, f"{peer.changes} changes of keys")
    check(peer.changes - 1 <= call["rekeys"] <= peer.changes, f"{call['rekeys']} re-keys counted of {peer.changes}")
    # The last change may be under way at the hang-up, and so may the peer's last packets.
    unread = call["drops"].pop("ended")
    check(call["rx"]["lost"] == 0 and not any(call["drops"].values()), f"lost {call['rx']['lost']}, drops {call['drops']}")
    received = call["rx"]["packets"] + unread
    check(received > SECONDS * 40 and 0 <= gst["sent"] - received <= 4, f"GStreamer sent {gst['sent']}, apus received {received}")
    check(sum(gst["opened"]) == gst["received"], f"of {gst['received']} packets that came GStreamer opened {gst['opened']}")
    check(gst["opened_rtcp"] == gst["received_rtcp"] > 0, f"RTCP: {gst['received_rtcp']} came, {gst['opened_rtcp']} opened")
    check(0 <= call["tx"]["packets"] - gst["received"] <= 1, f"apus sent {call['tx']['packets']}, {gst['received']} came")
    used = sum(1 for each in gst["opened"] if each)
    check(used >= peer.changes, f"{used} keys used of {peer.changes + 1}")
    share, frequency = tone_share(load(folder / "heard.wav", 8000))
    check(share > 0.9 and abs(frequency - 1000) < 5, f"apus heard {share:.2f} of {frequency:.0f} Hz, wanted 1000 Hz")
    payloads = bytes.fromhex(gst["payloads"])
    kind, figures = what_is_heard(decode_all([payloads[at : at + 160] for at in range(0, len(payloads), 160)], "pcmu"))
    check(kind == "speech", f"GStreamer heard {kind}: {figures}")
    return f"{peer.changes} changes, {gst['sent']} and {gst['received']} packets, tone {share:.3f}"


KINDS = {
    "GStreamer offers by INVITE": {"does": "offers"},
    "GStreamer offers by UPDATE": {"does": "offers", "method": "UPDATE"},
    "GStreamer offers another suite each time": {"does": "offers", "suites": (SHA1_80, GCM, SHA1_32)},
    "GStreamer answers": {"does": "answers"},
    "GStreamer answers with another suite each time": {"does": "answers", "suites": (SHA1_80, GCM, SHA1_32)},
}

report = Report()
report.run([(f"{name}, {mode}", lambda mode=mode, how=how: rekeyed(mode, **how))
            for name, how in KINDS.items() for mode in MODES], at_once=4)
report.finish()
