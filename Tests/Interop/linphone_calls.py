#!/usr/bin/env python3
"""Debian's linphonec calls Apus and is called by it: SDES and DTLS-SRTP, in each receive mode, speech both ways."""
import os
import pty
import subprocess
import threading
import time
import uuid

from lab import (MODES, SPEECH, Namespace, Report, apus, check, fresh, is_bound, load, running, speech_share, stop,
                 wait_for)
from peers import ApusRun

SECONDS = 8
# What a peer must have heard of the speech, from 0 (nothing of it) to 1 (every sample).
AGREEMENT = 0.7
ENCRYPTION = {"srtp-mand": "srtp", "dtls_srtp": "dtls"}


def speech_file(folder):
    """The speech as linphonec's file player wants it: mono, 16 kHz."""
    import soundfile

    path = folder / "speech.wav"
    soundfile.write(path, load(SPEECH, 16000), 16000, subtype="PCM_16")
    return path


class Linphone:
    """linphonec in a namespace of its own, on a terminal: without one its main loop does not turn."""

    SIP, RTP = 5070, 7078

    def __init__(self, namespace, mediaenc, answers):
        self.folder, self.namespace = fresh("linphone"), namespace
        for name in (".local/share/linphone", ".config/linphone"):
            (self.folder / name).mkdir(parents=True)
        codecs = "".join(
            f"[audio_codec_{index}]\nmime={mime}\nrate={rate}\nchannels={channels}\nenabled={int(mime == 'PCMU')}\n"
            for index, (mime, rate, channels) in enumerate([("opus", 48000, 2), ("PCMU", 8000, 1), ("PCMA", 8000, 1),
                                                            ("speex", 16000, 1)]))
        (self.folder / "rc").write_text(f"""[sip]
sip_port={self.SIP}
sip_tcp_port={self.SIP}
sip_tls_port=0
bind_address=127.0.0.1
contact="linphone" <sip:linphone@127.0.0.1:{self.SIP}>
guess_hostname=0
use_info=0
use_ipv6=0
media_encryption={ENCRYPTION[mediaenc]}
media_encryption_mandatory=1
default_proxy=-1
register_only_when_network_is_up=0
register_only_when_upnp_is_ok=0
zrtp_cache_migration_done=1
[rtp]
audio_rtp_port={self.RTP}
audio_jitt_comp=60
rtcp_mux=0
nortp_timeout=30
bind_address=127.0.0.1
symmetric=1
[net]
firewall_policy=0
mtu=1300
dns_srv_enabled=0
[sound]
echocancellation=0
use_files=1
[video]
enabled=0
capture=0
display=0
[misc]
enable_basic_to_client_group_chat_room_migration=0
uuid={uuid.uuid4()}
{codecs}""")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        environment |= {"HOME": str(self.folder), "TERM": "dumb"}
        self.terminal, other = pty.openpty()
        command = ["ip", "netns", "exec", namespace.name, "linphonec", "-c", str(self.folder / "rc"), "-d", "6", "-l",
                   str(self.folder / "linphone.log")] + (["-a"] if answers else [])
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment,
                                        cwd=self.folder, start_new_session=True)
        os.close(other)
        running.add(self.process)
        self.said = b""
        threading.Thread(target=self.listen, daemon=True).start()
        self.uri = f"sip:linphone@127.0.0.1:{self.SIP}"

    def listen(self):
        while True:
            try:
                more = os.read(self.terminal, 65536)
            except OSError:
                return
            if not more:
                return
            self.said += more

    def __enter__(self):
        wait_for(lambda: is_bound(self.SIP, self.namespace), 10, "linphonec is up")
        self.command("soundcard use files")
        self.command(f"play {speech_file(self.folder)}")
        self.command(f"record {self.folder / 'heard.wav'}")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.command("quit")
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        stop(self.process, 1)
        os.close(self.terminal)

    def command(self, line):
        os.write(self.terminal, line.encode() + b"\n")
        time.sleep(0.3)

    def output(self):
        return self.said.decode("utf-8", "replace")

    def log(self):
        path = self.folder / "linphone.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def recording(self):
        path = self.folder / "heard.wav"
        check(path.exists(), f"linphonec recorded nothing: {self.output()[-300:]!r}")
        return path


class Network(Namespace):
    """A namespace with a default route, which linphonec asks for; it leads nowhere."""

    def __enter__(self):
        super().__enter__()
        subprocess.run(["ip", "-n", self.name, "route", "add", "default", "dev", "lo"], check=True)
        return self


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
