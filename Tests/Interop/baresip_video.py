#!/usr/bin/env python3
"""Debian's baresip calls with video (VP8 of its own encoder): Apus, in every receive mode and encryption, sends it back as it was
encoded, and baresip's decoder shows it."""
import re

from lab import MODES, Report, check, wait_for
from peers import MODULES, ApusRun, Baresip, flowed

SECONDS = 7
VIDEO = """module vp8.so
module fakevideo.so
video_source fakevideo,nil
video_display fakevideo,nil
video_size 320x240
video_bitrate 500000
video_fps 20
"""


def call(mode, mediaenc, is_caller):
    """`is_caller`: whether baresip calls, or Apus."""
    extra = "video_source vidbridge,mirror\nvideo_display vidbridge,mirror\n"
    more = {"modules": MODULES + ("vp8", "vidbridge"), "extra": extra}
    if is_caller:
        with ApusRun(mode, mediaenc, "opus", **more) as us, \
                Baresip(mediaenc, "opus", SECONDS, dial=us.uri, user="alice", extra=VIDEO) as baresip:
            note = watch(us, baresip)
    else:
        with Baresip(mediaenc, "opus", SECONDS + 4, user="bob", extra=VIDEO) as baresip, \
                ApusRun(mode, mediaenc, "opus", dial=baresip.uri, **more) as us:
            note = watch(us, baresip)
    check(us.code == 0, f"apus run ended with {us.code}: {us.output()[-300:]!r}")
    flowed(us, transports=2)
    return note


def watch(us, baresip):
    us.wait_for("established")
    us.wait_for("the peer is heard")

    def shown():
        found = re.search(r"vidisp: fakevideo 320 x 240 frames=(\d+).*n_keyframes=(\d+)", baresip.command("video_debug"))
        return tuple(map(int, found.groups())) if found else (0, 0)

    wait_for(lambda: shown()[0] >= 20 * (SECONDS - 4), SECONDS, "baresip shows its camera's frames")
    frames, key_frames = shown()
    sent = int(re.search(r"source: fakevideo.*?frames=(\d+)", baresip.command("video_debug"))[1])
    check(key_frames >= 1 and frames >= sent - 12, f"baresip shows {frames} of {sent} frames")
    return f"{frames} of {sent} frames came back"


cases = [(f"baresip, its camera and back, {mediaenc}, {mode}", call, mode, mediaenc, mode != "thread")
         for mode in MODES for mediaenc in ("none", "srtp-mand", "dtls_srtp")]
report = Report()
report.run(cases, at_once=3)
report.finish()
