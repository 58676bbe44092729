"""Debian's linphonec in a network namespace, on a terminal of the script's own."""
import os
import pty
import re
import subprocess
import threading
import time
import uuid

from lab import SPEECH, Namespace, check, fresh, is_bound, load, running, stop, wait_for
from lab import Network as FarNetwork

ENCRYPTION = {"none": "none", "srtp-mand": "srtp", "dtls_srtp": "dtls"}


def speech_file(folder):
    """The speech as linphonec's file player wants it: mono, 16 kHz."""
    import soundfile

    path = folder / "speech.wav"
    soundfile.write(path, load(SPEECH, 16000), 16000, subtype="PCM_16")
    return path


class Linphone:
    """linphonec in a namespace of its own, on a terminal: without one its main loop does not turn."""

    SIP, RTP = 5070, 7078

    def __init__(self, namespace, mediaenc, answers, account=None, host="127.0.0.1", ice=False):
        """`account`: user, password and the registrar's port; without it nobody is registered."""
        self.folder, self.namespace = fresh("linphone"), namespace
        for name in (".local/share/linphone", ".config/linphone"):
            (self.folder / name).mkdir(parents=True)
        codecs = "".join(
            f"[audio_codec_{index}]\nmime={mime}\nrate={rate}\nchannels={channels}\nenabled={int(mime == 'PCMU')}\n"
            for index, (mime, rate, channels) in enumerate([("opus", 48000, 2), ("PCMU", 8000, 1), ("PCMA", 8000, 1),
                                                            ("speex", 16000, 1)]))
        checks = "[nat_policy_0]\nref=checks\nprotocols=ice\n" if ice else ""
        registration = ""
        if account:
            user, password, port = account
            registration = (
                f"[proxy_0]\nreg_proxy=<sip:127.0.0.1:{port}>\nreg_identity=<sip:{user}@127.0.0.1:{port}>\n"
                f"reg_expires=600\nreg_sendregister=1\n[auth_info_0]\nusername={user}\npasswd={password}\n"
                "realm=interop\ndomain=127.0.0.1\n")
        (self.folder / "rc").write_text(f"""[sip]
sip_port={self.SIP}
sip_tcp_port={self.SIP}
sip_tls_port=0
bind_address={host}
contact="linphone" <sip:linphone@{host}:{self.SIP}>
guess_hostname=0
use_info=0
use_ipv6=0
media_encryption={ENCRYPTION[mediaenc]}
media_encryption_mandatory={int(mediaenc != "none")}
default_proxy={0 if account else -1}
register_only_when_network_is_up=0
register_only_when_upnp_is_ok=0
zrtp_cache_migration_done=1
[rtp]
audio_rtp_port={self.RTP}
audio_jitt_comp=60
rtcp_mux=0
nortp_timeout=30
bind_address={host}
symmetric=1
[net]
{'nat_policy_ref=checks' if ice else 'firewall_policy=0'}
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
{codecs}{registration}{checks}""")
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
        self.uri = f"sip:linphone@{host}:{self.SIP}"

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

    def until(self, state, seconds=10):
        """Asks for the list of calls until it shows `state`, an expression: a command that comes too early is refused."""
        deadline = time.monotonic() + seconds
        while True:
            start = len(self.output())
            self.command("calls")
            if re.search(state, self.output()[start:]):
                return
            check(time.monotonic() < deadline, f"linphonec's calls never showed {state}: {self.output()[start:]!r}")

    # What `until` waits for.
    FREE, TALKING, PAUSED = "No active call|no calls at this time", "StreamsRunning", "Paused"

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


class RoutedNetwork(FarNetwork):
    """The same with an address that is not the loopback's, which ICE leaves out."""

    def __enter__(self):
        super().__enter__()
        subprocess.run(["ip", "-n", self.name, "route", "add", "default", "dev", "eth0"], check=True)
        return self
