#!/usr/bin/env python3
"""What people hear in calls between two `apus run`: speech both ways, scored by PESQ against the file that was played.

Every call is made over real SIP; the calls run side by side, the scoring comes after them. What Opus can reach depends on
the speech: libopus alone, without a call, says how much, and a call must reach that and WANTED at 96 kbit/s."""
import ctypes
import os
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from lab import MODES, ROOT, SPEECH, Report, check, fresh, score
from peers import ApusRun

SECONDS = 17.0  # the speech lasts 16.4
WANTED = {"pcmu": 3.9, "pcma": 3.7, "opus": 4.0, "opus at 96 kbit/s": 4.2, "opus with a person's voice": 4.2}
# Without a buffer each packet that a busy machine is late with is heard.
WANTED_WITHOUT_BUFFER = {"pcmu": 3.3, "opus": 3.5}
BITRATE = 64_000
# A person's voice, where the project's lab is beside it: PESQ was made for such, ours comes from a synthesizer.
VOICE = ROOT.parent / "shared/lab/media/speech_48000.wav"


def without_call(path, bitrate):
    """Scores the speech after one mono encoder and one decoder of libopus, the settings those of Apus."""
    import soundfile

    library = ctypes.CDLL("libopus.so.0")
    library.opus_encoder_create.restype = library.opus_decoder_create.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(library.opus_encoder_create(48000, 1, 2049, None))  # OPUS_APPLICATION_AUDIO
    decoder = ctypes.c_void_p(library.opus_decoder_create(48000, 1, None))
    for request, value in ((4002, bitrate), (4010, 10)):  # bit rate, complexity
        library.opus_encoder_ctl(encoder, request, value)
    samples, _ = soundfile.read(SPEECH, dtype="int16")
    room, heard = (ctypes.c_ubyte * 1500)(), []
    for start in range(0, len(samples) - 959, 960):
        frame, decoded = samples[start : start + 960].copy(), np.zeros(960, np.int16)
        count = library.opus_encode(encoder, frame.ctypes.data_as(ctypes.c_void_p), 960, room, 1500)
        library.opus_decode(decoder, room, count, decoded.ctypes.data_as(ctypes.c_void_p), 960, 0)
        heard.append(decoded)
    soundfile.write(path, np.concatenate(heard), 48000)
    return score(path, "opus")


def call(name, mediaenc, codec, mode, extra="", bitrate=BITRATE, speech=SPEECH):
    """Makes a call; notes what to score."""
    extra += f"opus_bitrate {bitrate}\n"
    with ApusRun(mode, mediaenc, codec, extra=extra, speech=speech) as bob:
        with ApusRun(mode, mediaenc, codec, extra=extra, speech=speech, dial=bob.uri) as alice:
            time.sleep(SECONDS)
    for each in (alice, bob):
        check(each.code == 0, f"apus run ended with {each.code}: {each.output()[-300:]!r}")
        check("lost 0, dropped 0" in each.output(), f"it lost or dropped something: {each.output()[-300:]!r}")
        check((mediaenc == "none") != ("secured by" in each.output()), f"not as secure as asked: {each.output()[-300:]!r}")
    heard[name] = [(who.recording(), codec, speech) for who in (alice, bob)]


def judge(name, wanted):
    """A call that is judged once more is another call."""
    if name in scores:
        call(*next(each for each in calls if each[0] == name))
        scores[name] = [score(*each) for each in heard[name]]
    else:
        check(name in scored, "there was no call to score")
        scores[name] = [each.result() for each in scored[name]]
    both = scores[name]
    check(min(both) >= wanted, f"PESQ {both[0]:.2f} and {both[1]:.2f}, wanted {wanted}")
    return f"PESQ {both[0]:.2f} and {both[1]:.2f}"


def as_good(name, than):
    check(name in scores and than in scores, "there was no call to score")
    ours, fixed = min(scores[name]), min(scores[than])
    check(ours >= fixed - 0.1, f"PESQ {ours:.2f}, {fixed:.2f} with the fixed jitter buffer")
    return f"PESQ {ours:.2f}, fixed {fixed:.2f}"


def as_good_as_libopus(name):
    check(name in scores, "there was no call to score")
    ours = min(scores[name])
    check(ours >= alone.result() - 0.05, f"PESQ {ours:.2f}, libopus alone {alone.result():.2f}")
    return f"PESQ {ours:.2f}, libopus alone {alone.result():.2f}"


BUFFERS = "audio_jitter_buffer_type {}\n"
calls = [(f"{codec}, dtls_srtp, {mode}", "dtls_srtp", codec, mode) for mode in MODES for codec in ("pcmu", "opus")]
calls += [(f"{codec}, {way}, thread", way, codec, "thread") for way in ("srtp-mand", "none") for codec in ("pcmu", "opus")]
calls += [("pcma, dtls_srtp, thread", "dtls_srtp", "pcma", "thread")]
calls += [("opus at 96 kbit/s, dtls_srtp, thread", "dtls_srtp", "opus", "thread", "", 96_000)]
calls += [(f"{codec}, jitter buffer {kind}", "dtls_srtp", codec, "thread", BUFFERS.format(kind))
          for kind in ("adaptive", "off") for codec in ("pcmu", "opus")]
if VOICE.exists():
    calls += [(f"opus with a person's voice, dtls_srtp, {mode}", "dtls_srtp", "opus", mode, "opus_application voip\n", BITRATE,
               str(VOICE)) for mode in MODES]
heard, scores = {}, {}
report = Report(is_whole=True)
report.run([(f"call, {each[0]}", call, *each) for each in calls], at_once=8)
with ProcessPoolExecutor(os.cpu_count()) as pool:
    alone = pool.submit(without_call, fresh("alone") / "heard.wav", BITRATE)
    scored = {name: [pool.submit(score, *each) for each in both] for name, both in heard.items()}
    report.run([(name, judge, name, (WANTED_WITHOUT_BUFFER if name.endswith("off") else WANTED)[name.split(",")[0]])
                for name, *_ in calls])
    for mode in MODES:
        report.case(f"as good as libopus alone, {mode}", as_good_as_libopus, f"opus, dtls_srtp, {mode}")
    for codec in ("pcmu", "opus"):
        report.case(f"adaptive as good as fixed, {codec}", as_good, f"{codec}, jitter buffer adaptive",
                    f"{codec}, dtls_srtp, thread")
report.finish()
