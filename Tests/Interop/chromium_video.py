#!/usr/bin/env python3
"""A real browser sends its camera to Apus by WHIP, in every receive mode: Apus sends it back by `vidbridge`, as it was encoded, and
the page decodes it; Apus records it by `ivf`, and FFmpeg's decoder takes every frame."""
import time
from contextlib import nullcontext

import av
from browser import Chromium
from lab import HOST, MODES, Network, Report, check, fresh, free_ports
from lossy_way import LossyWay
from peers import MODULES, ApusRun

SECONDS = 5
VIDEO = ("ice", "whip", "vp8", "h264", "ivf", "vidbridge")
SIZE = (640, 480)


def call(mode, codec, display, seconds=SECONDS, loss=0):
    """Calls with video; what the page says at the end of audio, video and what is shown."""
    web = free_ports(1)
    extra = f"whip_listen 127.0.0.1:{web}\nvideo_source vidbridge,mirror\nvideo_display {display}\n"
    with Network() as namespace, \
            ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + VIDEO, source="ausine,1000",
                    extra=extra, ports=3) as apus, \
            Chromium(namespace, f"http://127.0.0.1:{web}/") as chromium, \
            LossyWay(namespace, (HOST, apus.rtp_port), loss) if loss else nullcontext() as way:
        dialled = chromium.dial(endpoint="/whip", direction="sendrecv", codec="opus", video=codec, by=way and way.port)
        check(dialled.get("state") == "connected", f"the page is not connected: {dialled}; {apus.output()[-300:]!r}")
        check("m=video 0 " not in chromium.run("answer"), f"video is refused: {chromium.run('answer')!r}")
        time.sleep(seconds)
        apus.command("/video_debug")
        apus.wait_for("key frames asked for", 5)
        audio, video = chromium.run("figures()"), chromium.run("figures('video')")
        shown = chromium.run("colours()") if display.startswith("vidbridge") else None
        check(chromium.run("end('delete')") == 200, "DELETE is not answered")
        apus.wait_for("ended", 10)
    check(apus.code == 0, f"apus run ended with {apus.code}: {apus.output()[-300:]!r}")
    mime = video["codec"]["mimeType"].lower()
    check(mime == f"video/{codec}", f"another codec: {mime}")
    return apus, audio, video, shown


def echo(mode, codec):
    """The page's picture comes back to it."""
    apus, audio, video, shown = call(mode, codec, "vidbridge,mirror")
    inbound, outbound = video["inbound-rtp"], video["outbound-rtp"]
    sent, decoded = outbound["framesSent"], inbound["framesDecoded"]
    check(sent >= 15 * SECONDS, f"the page sent {sent} frames")
    check(decoded >= 0.9 * sent, f"the page decoded {decoded} of {sent} frames")
    check(inbound["packetsLost"] == 0, f"the page lost packets: {inbound}")
    check((shown["width"], shown["height"]) == (inbound["frameWidth"], inbound["frameHeight"]), f"the page shows {shown}")
    # Chromium's made-up camera: a green field with a turning disk.
    red, green, blue = shown["mean"]
    check(green > 60 and green > red + 15, f"the page shows {shown}, not its camera's picture")
    check(audio["inbound-rtp"]["packetsLost"] == 0, f"the page lost audio: {audio['inbound-rtp']}")
    said = apus.output()
    check("lost 0, dropped 0" in said, f"apus lost or dropped something: {said[-300:]!r}")
    return f"{decoded} of {sent} frames came back, {shown['width']} x {shown['height']}"


def recorded(mode, codec):
    """What the page sends is recorded; of a tenth that is lost on its way everything comes again."""
    folder = fresh("recorded")
    path = folder / "seen.ivf"
    apus, _, video, _ = call(mode, codec, f"ivf,{path}", loss=0.1)
    sent = video["outbound-rtp"]["framesSent"]
    check(path.exists(), f"nothing is recorded; apus says {apus.output()[-300:]!r}")
    with av.open(str(path)) as container:
        frames = [(frame.width, frame.height) for frame in container.decode(video=0)]
    check(len(frames) >= 0.8 * sent, f"of {sent} frames {len(frames)} are in the recording")
    check(frames[-1][0] >= 320, f"a picture of {frames[-1]}")
    resent = video["outbound-rtp"].get("retransmittedPacketsSent", 0)
    packets = video["outbound-rtp"]["packetsSent"]
    check(resent >= max(1, 0.03 * packets), f"of {packets} packets the page sent {resent} again")
    return f"{len(frames)} of {sent} frames decoded, {frames[-1][0]} x {frames[-1][1]}, {resent} packets sent again"


cases = [(f"chromium, its camera and back, {codec}, {mode}", echo, mode, codec) for mode in MODES for codec in ("vp8", "h264")]
cases += [(f"chromium, its camera recorded, a tenth is lost, {codec}, {mode}", recorded, mode, codec)
          for mode, codec in zip(MODES, ("vp8", "h264", "vp8"))]
report = Report()
report.run(cases)
report.finish()
