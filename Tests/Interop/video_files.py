#!/usr/bin/env python3
"""`apus call` plays a film of IVF to `apus run`, which records it: what arrives is what was sent, byte for byte."""
import av
import numpy as np
from lab import MODES, Report, apus, check, fresh
from peers import MODULES, ApusRun


def encode(path):
    """A film of three seconds, with a key frame each second."""
    with av.open(str(path), "w", format="ivf") as film:
        stream = film.add_stream("libvpx", rate=20, width=320, height=240)
        stream.gop_size, stream.pix_fmt = 20, "yuv420p"
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), number * 4, dtype=np.uint8))
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def frames(path):
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(video=0) if packet.size]


def is_key(frame):
    """RFC 6386, 9.1."""
    return frame[0] & 1 == 0


def film(mode, mediaenc):
    folder = fresh("film")
    encode(folder / "film.ivf")
    extra = f"video_display ivf,{folder}/seen.ivf\n"
    with ApusRun(mode, mediaenc, "opus", modules=MODULES + ("vp8", "ivf"), extra=extra) as bob:
        result = apus("call", bob.uri, "--mediaenc", mediaenc, "--play-video", folder / "film.ivf", "--seconds", 4, "--json")
    check(result.code == 0, f"apus call ended with {result.code}: {result.err[-300:]!r}")
    video = result.json()["calls"][0]["video"]
    sent, seen = frames(folder / "film.ivf"), frames(folder / "seen.ivf")
    place = -1
    for each in seen:
        # Frame by frame, but for a leap to a key frame that is asked for.
        place = (place + 1) % len(sent)
        if each != sent[place]:
            check(each in sent and is_key(each), f"frame {place} is not the film's")
            place = sent.index(each)
    check(len(seen) > 60, f"{len(seen)} frames were recorded")
    check(len(seen) <= video["tx"]["frames"] <= len(seen) + 5 and video["codec"] == "VP8", f"{video}")
    return f"{len(seen)} frames, byte for byte"


def no_video():
    """A peer without video: the call is good, says what was not used, and names no recording that there is not."""
    folder = fresh("film")
    encode(folder / "film.ivf")
    films = {"--play-video": folder / "film.ivf", "--record-video": folder / "seen.ivf"}
    with ApusRun("main", "none", "opus") as bob:
        options = [word for pair in films.items() for word in pair]
        result = apus("call", bob.uri, *options, "--seconds", 2, "--json")
    check(result.code == 0, f"apus call ended with {result.code}: {result.err[-300:]!r}")
    for film in films.values():
        check(f"no video was agreed on: {film} was not used" in result.err, f"{film}: {result.err[-300:]!r}")
    check(result.json()["recordings"] == [] and not films["--record-video"].exists(), f"{result.json()['recordings']}")


cases = [(f"a film from file to file, {mediaenc}, {mode}", film, mode, mediaenc)
         for mode, mediaenc in zip(MODES, ("none", "srtp-mand", "dtls_srtp"))]
cases.append(("a peer without video", no_video))
report = Report()
report.run(cases, at_once=3)
report.finish()
