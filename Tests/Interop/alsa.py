#!/usr/bin/env python3
"""Sound devices: calls over ALSA's `null` and `file` plug-ins, and over a PulseAudio server of ours with a null sink.

Needs a build with the trait ALSA; of the build without it this shows what it says."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np

from lab import MODES, SPEECH, Report, apus, check, fresh, load, start, stop, wait_for
from peers import MODULES, ApusRun

HOME = fresh("alsa")
SOCKET = HOME / "native"
os.environ.update(ALSA_CONFIG_PATH=str(HOME / "asound.conf"), PULSE_SERVER=f"unix:{SOCKET}", HOME=str(HOME),
                  XDG_RUNTIME_DIR=str(HOME), PULSE_COOKIE=str(HOME / "cookie"))
RATE = 8000


def write_configuration():
    """ALSA's own plug-ins, by names of ours; no card is asked for. Beside it, a minute of speech."""
    import soundfile

    raw = (load(SPEECH, RATE) * 32767).astype("<i2")
    (HOME / "speech.raw").write_bytes(raw.tobytes())
    soundfile.write(HOME / "long.wav", np.tile(raw, 4), RATE)
    (HOME / "asound.conf").write_text(f"""
pcm_type.pulse {{ lib "libasound_module_pcm_pulse.so" }}
pcm.quiet {{ type null
  hint {{ show on description "nothing" }} }}
pcm.speech {{ type file slave.pcm quiet file "/dev/null" infile "{HOME}/speech.raw" format "raw"
  hint {{ show on description "speech from a file" }} }}
pcm.record {{ type file slave.pcm quiet file "{HOME}/heard.raw" format "raw" }}
pcm.room {{ type pulse server "unix:{SOCKET}" device "room" }}
pcm.echo {{ type pulse server "unix:{SOCKET}" device "room.monitor" }}
pcm.microphone {{ type pulse server "unix:{SOCKET}" device "desk.monitor" }}
""")


class Pulse:
    """A PulseAudio server with two null sinks, `room` and `desk`; what is played there is heard at their monitors."""

    def __init__(self, rate=1):
        """`rate`: seconds that its clock counts in one."""
        self.environment = dict(os.environ)
        if rate != 1:
            library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
            check(library, "libfaketime is missing: Scripts/traits installs it")
            self.environment.update(LD_PRELOAD=str(library), FAKETIME=f"+0 x{rate}")

    def __enter__(self):
        self.process = start(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "--use-pid-file=no", "--high-priority=no",
             "--realtime=no", "-L", f"module-native-protocol-unix socket={SOCKET} auth-anonymous=1",
             "-L", "module-null-sink sink_name=room rate=48000", "-L", "module-null-sink sink_name=desk rate=48000"],
            HOME / "pulseaudio", env=self.environment)
        wait_for(lambda: SOCKET.exists() and subprocess.run(["pactl", "info"], capture_output=True).returncode == 0, 15,
                 "PulseAudio is up")
        return self

    def kill(self):
        stop(self.process, 1, signal.SIGKILL)

    def __exit__(self, *_):
        stop(self.process, 5)
        SOCKET.unlink(missing_ok=True)


def agent(source, player, dial=None, mode="thread"):
    """An `apus run` with these devices; `heard.wav` in its folder where the player is a file."""
    parameters = ";answermode=auto"
    if source:
        parameters += f";audio_source=alsa,{source}"
    if player:
        parameters += f";audio_player=alsa,{player}"
    return ApusRun(mode, "none", "pcmu", dial=dial, modules=MODULES + ("alsa",), parameters=parameters, speech=HOME / "long.wav")


def figures(each, way):
    """What `/alsastat` says of the last use of a device that way."""
    pattern = re.compile(rf"^{way} .*skipped \d+$", re.M)
    before = len(pattern.findall(each.output()))
    each.command("/alsastat")
    wait_for(lambda: len(pattern.findall(each.output())) > before, 5, "the figures")
    line = pattern.findall(each.output())[-1]
    return line, {name: int(value) for name, value in re.findall(r"(\w+) (-?\d+)", line)}


def call_for(seconds, source, player, mode="thread"):
    """bob has the devices, alice files; gives bob's figures and alice's recording."""
    with agent(source, player, mode=mode) as bob, agent(None, None, dial=bob.uri, mode=mode) as alice:
        alice.wait_for("established")
        time.sleep(seconds)
        said = [figures(bob, way) for way, device in (("capture", source), ("playback", player)) if device]
        alice.command("/hangup")
        bob.wait_for("ended, hangup")
        recording = alice.recording()
        time.sleep(0.5)
    check(bob.code == 0 and alice.code == 0, f"exit {bob.code}, {alice.code}")
    return said, recording


def likeness(heard):
    """How much of the speech is in a recording, from 0 to 1: half a second at a time, each where it fits best, for a device's clock
    is not the call's."""
    from scipy.signal import fftconvolve

    known = load(SPEECH, RATE)
    first = np.flatnonzero(np.abs(heard) > 0.02)
    check(len(first) > 0, "only silence was heard")
    heard = heard[first[0]:]
    good = []
    for at in range(0, len(heard) - RATE // 2, RATE // 2):
        piece = heard[at : at + RATE // 2]
        if np.sqrt(np.mean(piece**2)) < 0.01:
            continue
        products = fftconvolve(known, piece[::-1], "valid")
        energy = fftconvolve(known**2, np.ones(len(piece)), "valid")
        good.append(float(np.max(np.abs(products) / np.sqrt(np.maximum(energy, 1e-6) * np.sum(piece**2)))))
    check(len(good) >= 4, f"only {len(good)} pieces were heard")
    return float(np.median(good)), len(good)


def files():
    """The `file` plug-in both ways: the speech goes out of one file, and into another."""
    (HOME / "heard.raw").unlink(missing_ok=True)
    said, recording = call_for(6, "speech", "record")
    sent, sent_pieces = likeness(load(recording, RATE))
    played = np.frombuffer((HOME / "heard.raw").read_bytes(), "<i2") / 32768
    heard, pieces = likeness(played)
    check(sent > 0.97 and heard > 0.97, f"from the file {sent:.3f}, into the file {heard:.3f}")
    return f"from a file {sent:.3f} in {sent_pieces} pieces, into one {heard:.3f} in {pieces}"


def nulls():
    """The `null` plug-in has no clock: it neither stops the call nor takes a processor."""
    began = time.monotonic()
    with agent("quiet", "quiet") as bob, agent(None, None, dial=bob.uri) as alice:
        alice.wait_for("established")
        time.sleep(4)
        ticks = sum(map(int, pathlib.Path(f"/proc/{bob.process.pid}/stat").read_text().rsplit(")")[1].split()[11:13]))
        share = ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
        lines = [figures(bob, way)[1] for way in ("capture", "playback")]
        alice.command("/hangup")
        bob.wait_for("ended, hangup")
    check(share < 0.5, f"{share:.2f} of a processor")
    check(all(line["drift"] == 0 and line["failed"] == 0 for line in lines), f"{lines}")
    return f"{share:.2f} of a processor"


def quality(heard):
    """PESQ of a recording of the speech, four seconds at a time, each where it fits best."""
    from pesq import pesq
    from scipy.signal import fftconvolve

    known, length = np.tile(load(SPEECH, RATE), 2), 4 * RATE
    scores = []
    for at in range(0, len(heard) - length + 1, length):
        piece = heard[at : at + length]
        start = int(np.argmax(np.abs(fftconvolve(known, piece[::-1], "valid"))))
        scores.append(float(pesq(RATE, known[start : start + length], piece, "nb")))
    check(len(scores) >= 3, f"only {len(heard) / RATE:.1f} s were heard")
    return scores


def is_good(scores):
    """Where a machine is busy for a moment there is a gap, which may spoil the piece that it is in."""
    return np.median(scores) > 3


def shown(scores):
    return "PESQ " + ", ".join(f"{score:.2f}" for score in scores)


def from_first_sound(heard):
    first = np.flatnonzero(np.abs(heard) > 0.02)
    check(len(first) > 0, "only silence was heard")
    return heard[first[0] :]


class Recorder:
    """What is heard in the room, by a program of PulseAudio's own."""

    def __enter__(self):
        self.process = start(["parec", "--raw", "-d", "room.monitor", f"--rate={RATE}", "--channels=1", "--format=s16le",
                              "--latency-msec=50"], HOME / "parec")
        return self

    def __exit__(self, *_):
        stop(self.process)

    def heard(self):
        return np.frombuffer((HOME / "parec.out").read_bytes()[: 1 << 24], "<i2") / 32768


def in_step(said):
    """The devices were open throughout, and their clock is taken for what it is: the call's, but for the milliseconds by which a
    null sink's monitor jumps when others play there."""
    for line, values in said:
        check(values["opened"] == 1 and values["failed"] == 0, line)
        check(abs(values["drift"]) <= 200, line)
    return "; ".join(line for line, _ in said)


def both_ways(mode):
    """Speech is played at the desk, where bob's microphone is; what bob hears is played into the room."""
    with Pulse(), Recorder() as recorder:
        speaker = start(["paplay", "-d", "desk", SPEECH], HOME / "paplay")
        said, recording = call_for(14, "microphone", "room", mode)
        stop(speaker)
        played = recorder.heard()
    sent, heard = quality(from_first_sound(load(recording, RATE))), quality(from_first_sound(played))
    note = f"sent {shown(sent)}, played {shown(heard)}"
    check(is_good(sent) and is_good(heard), f"{note}; {said}")
    return f"{note}; {in_step(said)}"


def echo(mode):
    """What the call plays into the room is heard there by the same call, and comes back."""
    with Pulse():
        said, recording = call_for(14, "echo", "room", mode)
    scores = quality(from_first_sound(load(recording, RATE)))
    check(is_good(scores), f"{shown(scores)}; {said}")
    return f"{shown(scores)}; {in_step(said)}"


def fast():
    """The server's clock, and with it its devices', is 500 ppm faster than the call's: that is what is measured."""
    with Pulse(rate=1.0005):
        said, recording = call_for(45, "echo", "room")
    drifts = [values["drift"] for _, values in said]
    check(all(300 <= drift <= 700 for drift in drifts), f"{said}")
    scores = quality(from_first_sound(load(recording, RATE)))
    check(is_good(scores), f"{shown(scores)}; {said}")
    return f"measured {drifts} ppm; {shown(scores)}"


def unplugged(mode):
    """The server is killed in a call and comes back: the call stays, and is heard again."""
    with agent("echo", "room", mode=mode) as bob:
        with Pulse() as server:
            alice = agent(None, None, dial=bob.uri, mode=mode).__enter__()
            alice.wait_for("established")
            for way in ("capture", "playback"):
                wait_for(lambda: figures(bob, way)[1]["opened"] == 1, 10, f"{way} is open")
            time.sleep(2)
            server.kill()
        for way in ("capture", "playback"):
            wait_for(lambda: figures(bob, way)[1]["failed"] > 0, 10, f"{way} is lost")
        time.sleep(1)
        check("ended" not in alice.output(), "the call ended with the device")
        with Pulse():
            for way in ("capture", "playback"):
                wait_for(lambda: ", open:" in figures(bob, way)[0], 15, f"{way} is open again")
            time.sleep(16)
            lines = [figures(bob, way)[0] for way in ("capture", "playback")]
            alice.command("/hangup")
            bob.wait_for("ended, hangup")
            recording = alice.recording()
            alice.__exit__()
    scores = quality(load(recording, RATE)[-12 * RATE :])
    check(is_good(scores), f"after the return {shown(scores)}; {lines}")
    return f"after the return {shown(scores)}; " + "; ".join(lines)


def quick(mode):
    """Calls that begin and end at once leave neither threads nor descriptors."""
    with Pulse(), agent("echo", "room", mode=mode) as bob:
        def counts():
            base = pathlib.Path(f"/proc/{bob.process.pid}")
            return len(list((base / "task").iterdir())), len(list((base / "fd").iterdir()))

        def ring(count):
            for _ in range(count):
                result = apus("call", bob.uri, "--seconds", "0.2", "--codec", "pcmu", limit=20)
                check(result.code == 0, f"exit {result.code}: {result.err[-200:]}")

        ring(3)
        time.sleep(2)
        before = counts()
        ring(15)
        try:
            wait_for(lambda: counts()[0] <= before[0] and counts()[1] <= before[1], 10, "all is given back")
        finally:
            after = counts()
        return f"threads and descriptors {before} before 15 calls, {after} after"


def busy():
    """Two programs want all of the processor meanwhile."""
    hogs = [start([sys.executable, "-c", "while True: pass"], HOME / f"hog{number}") for number in range(os.cpu_count() or 1)]
    try:
        return echo("thread")
    finally:
        for hog in hogs:
            stop(hog, 1)


def listed():
    """`apus modules` shows the devices that the configuration shows to people, no more and no less; the cases below open them."""
    rows = {row["name"]: row for row in json.loads(apus("modules", "--json").out)}
    check(sorted(rows["alsa"]["devices"]) == ["quiet", "speech"], f"{rows['alsa']}")
    return ", ".join(rows["alsa"]["devices"])


def without_trait():
    """A build without the trait says so, for a module line, a device and in the list."""
    row = next(row for row in json.loads(apus("modules", "--json").out) if row["name"] == "alsa")
    check("package trait ALSA" in row["absence"], f"{row}")
    (HOME / "config").write_text("module alsa.so\naudio_source alsa,default\n")
    (HOME / "accounts").write_text("")
    (HOME / "contacts").write_text("")
    result = apus("check", "-f", HOME)
    said = [line for line in (result.out + result.err).splitlines() if "package trait ALSA" in line]
    check(result.code == 0 and len(said) == 2 and all("warning" in line for line in said), f"{result.out}{result.err}")
    return said[0]


LONG = os.environ.get("APUS_LONG") == "1"
# What one mode shows within the time of .ci/run.
SOME = MODES if LONG else MODES[:1]
write_configuration()
report = Report()
has_devices = any(row["name"] == "alsa" and row["kinds"] for row in json.loads(apus("modules", "--json").out))
check(has_devices or "APUS_TRAITS" not in os.environ, "the program has no sound devices, though it was built with every trait")
report.run([
    ("the devices are listed", listed),
    ("null plug-in", nulls),
    ("file plug-in", files),
    *[(f"PulseAudio, both ways, {mode}", both_ways, mode) for mode in MODES],
    *[(f"PulseAudio, its own echo, {mode}", echo, mode) for mode in SOME],
    *[(f"PulseAudio is killed and comes back, {mode}", unplugged, mode) for mode in SOME],
    *[(f"start and stop in quick succession, {mode}", quick, mode) for mode in MODES],
    *([("PulseAudio with a clock that is 500 ppm fast", fast), ("PulseAudio, its own echo, on a busy machine", busy)] if LONG else []),
] if has_devices else [("a build without sound devices", without_trait)])
report.finish()
