"""Configurations of the peers: Debian's baresip, and Apus with a folder of its own."""
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import termios
import threading

from lab import APUS, SPEECH, Failure, check, fresh, free_ports, is_bound, running, start, stop, text, wait_for

BARESIP_CODECS = {"pcmu": "PCMU/8000/1", "pcma": "PCMA/8000/1", "opus": "opus/48000/2"}


class Baresip:
    """baresip 1.0.0 without a screen, a sound card or a registrar: plays the speech, records what it hears."""

    def __init__(self, mediaenc, codec, seconds, answers=True, dial=None, user="bob", namespace=None,
                 rtcp_mux="no", host="127.0.0.1", extra="", account=None, parameters="",
                 contacts=""):
        self.port, self.folder, self.namespace = free_ports(2), fresh(f"baresip-{user}"), namespace
        media, control = free_ports(32), free_ports(2)
        at = f"[{host}]" if ":" in host else host
        modules = "".join(f"module {name}.so\n" for name in ("g711", "opus", "aufile", "aubridge", "sndfile", "srtp"))
        (self.folder / "config").write_text(
            f"""sip_listen {at}:{self.port}
call_max_calls 4
audio_player aubridge,nil
audio_source aufile,{SPEECH}
audio_alert aubridge,nil2
ausrc_srate 48000
ausrc_channels 1
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {media}-{media + 31}
jitter_buffer_type fixed
jitter_buffer_delay 5-10
rtp_stats yes
rtcp_mux {rtcp_mux}
net_interface {host}
module_path /usr/lib/baresip/modules
{modules}module_tmp uuid.so
module_tmp account.so
module dtls_srtp.so
module_app ctrl_tcp.so
module_app menu.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {self.folder}
opus_bitrate 28000
opus_stereo yes
opus_sprop_stereo yes
{extra}""")
        account = account or f"<sip:{user}@{at}:{self.port}>;regint=0"
        account += f";audio_codecs={BARESIP_CODECS[codec]}"
        account += parameters + (";answermode=auto" if answers else "")
        account += f";mediaenc={mediaenc}" if mediaenc != "none" else ""
        (self.folder / "accounts").write_text(account + "\n")
        (self.folder / "contacts").write_text(contacts)
        command = ["baresip", "-f", self.folder, "-t", seconds]
        if dial:
            command += ["-e", f"/dial {dial}"]
        self.process = start(command, self.folder / "baresip", namespace)
        self.uri, self.control = f"sip:{user}@{at}:{self.port}", control

    def __enter__(self):
        wait_for(lambda: is_bound(self.port, self.namespace), 5, "baresip is up")
        # It binds its port long before its main loop turns.
        wait_for(lambda: "baresip is ready" in self.output(), 5, "baresip is ready")
        return self

    def __exit__(self, *_):
        stop(self.process)

    def output(self):
        return text(self.process, "out") + text(self.process)

    def command(self, name, parameters=""):
        """Has it carry out a command, by its netstring protocol."""
        def ask():
            with socket.create_connection(("127.0.0.1", self.control), 3) as connection:
                words = json.dumps({"command": name, "params": parameters, "token": "1"}).encode()
                connection.sendall(b"%d:%s," % (len(words), words))
                answer = b""
                while b'"response":true' not in answer:
                    more = connection.recv(65536)
                    check(more, f"baresip does not answer {name}")
                    answer += more
                return answer.decode()

        return self.namespace.inside(ask) if self.namespace else ask()

    def recording(self):
        """What it heard."""
        found = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_size)
        check(found, f"baresip recorded nothing: {self.output()[-400:]!r}")
        return found[-1]

    def secured(self, mediaenc):
        """Whether it says that it encrypts."""
        said = {"none": "", "dtls_srtp": "DTLS-SRTP complete"}.get(mediaenc, "SRTP is Enabled")
        return said in self.output()


MODULES = ("opus", "g711", "aufile", "ausine", "srtp", "dtls_srtp")


def apus_folder(folder, port, mode="main", mediaenc="none", codec="opus", extra="", modules=MODULES, account=None,
                host="127.0.0.1", parameters=";answermode=auto", speech=SPEECH, ports=32, source=None):
    """Writes config, accounts and contacts as a user of Apus would; `source` plays instead of the speech."""
    media = free_ports(ports)
    at = f"[{host}]" if ":" in host else host
    (folder / "config").write_text(
        f"sip_listen {at}:{port}\nnet_interface {host}\nrtp_ports {media}-{media + ports - 1}\nrtp_rxmode {mode}\n"
        f"audio_source {source or f'aufile,{speech}'}\naudio_player aufile,{folder}/heard.wav\n"
        + "".join(f"module {name}\n" for name in modules) + extra)
    line = f"<sip:bob@{at}:{port}>;regint=0{parameters};audio_codecs={BARESIP_CODECS[codec]}"
    line += f";mediaenc={mediaenc}" if mediaenc != "none" else ""
    (folder / "accounts").write_text((line if account is None else account) + "\n")
    (folder / "contacts").write_text("")
    return folder


class ApusRun:
    """`apus run -f DIR` that answers every call, plays the speech and records what it hears; `dial` makes it call, too."""

    def __init__(self, mode, mediaenc, codec, dial=None, options=(), namespace=None, **more):
        self.port, self.folder, self.namespace = free_ports(2), fresh("apus-run"), namespace
        apus_folder(self.folder, self.port, mode, mediaenc, codec, **more)
        command = [APUS, "run", "-f", self.folder, *options] + (["-e", f"/dial {dial}"] if dial else [])
        self.process = start(command, self.folder / "apus", namespace, stdin=subprocess.PIPE)
        host = more.get("host", "127.0.0.1")
        self.uri = f"sip:bob@[{host}]:{self.port}" if ":" in host else f"sip:bob@{host}:{self.port}"

    def __enter__(self):
        try:
            wait_for(lambda: is_bound(self.port, self.namespace) or self.process.poll() is not None, 5, "apus is up")
            check(self.process.poll() is None, f"apus run ended with {self.process.returncode}: {text(self.process)[-300:]!r}")
        except Failure:
            stop(self.process, 1)
            raise
        return self

    def __exit__(self, *_):
        self.code = stop(self.process, 5, signal.SIGINT)

    def command(self, line):
        """Types a line."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, words, seconds=15):
        """Waits until it says the words."""
        wait_for(lambda: words in self.output(), seconds, f"apus says {words!r}")

    def output(self):
        return text(self.process, "out") + text(self.process)

    @property
    def rtp_port(self):
        """Where its first call receives."""
        first = int(re.search(r"rtp_ports (\d+)", (self.folder / "config").read_text())[1])
        return first + first % 2

    def recording(self):
        path = self.folder / "heard.wav"
        check(path.exists(), f"apus recorded nothing: {self.output()[-400:]!r}")
        return path


def flowed(each, transports=1):
    """That its call carried media both ways, lost nothing, and dropped no more than baresip's two RTCP packets in the clear on each
    transport."""
    found = re.findall(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped (\d+)", each.output())
    check(found, f"no call went well: {each.output()[-300:]!r}")
    sent, received, dropped = map(int, found[-1])
    check(min(sent, received) > 50 and dropped <= 2 * transports, f"media did not flow: {each.output()[-300:]!r}")


class ControlledApus(ApusRun):
    """`apus run` with a control port."""

    def __init__(self, **more):
        self.control = free_ports()
        super().__init__(
            "main", "none", "pcmu", modules=(*MODULES, "menu.so", "ctrl_tcp.so"), parameters="",
            extra=f"ctrl_tcp_listen 127.0.0.1:{self.control}\n", **more)


class TypedApus:
    """`apus run -f DIR` on a terminal, where keys are pressed."""

    def __init__(self, mode, mediaenc, codec):
        self.folder = fresh("apus-typed")
        apus_folder(self.folder, free_ports(2), mode, mediaenc, codec)
        self.terminal, self.other = pty.openpty()
        self.before = termios.tcgetattr(self.other)
        self.said = b""
        self.process = subprocess.Popen([APUS, "run", "-f", self.folder], stdin=self.other, stdout=self.other,
                                        stderr=self.other, start_new_session=True)
        running.add(self.process)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        try:
            while more := os.read(self.terminal, 65536):
                self.said += more
        except OSError:
            return

    def __enter__(self):
        self.wait_for("is listening")
        return self

    def __exit__(self, *_):
        self.code = stop(self.process, 5, signal.SIGINT)
        self.after = termios.tcgetattr(self.other)
        os.close(self.other)
        os.close(self.terminal)

    def press(self, keys):
        os.write(self.terminal, keys.encode())

    def wait_for(self, words, seconds=10):
        wait_for(lambda: words in self.output(), seconds, f"apus says {words!r}: {self.output()[-500:]!r}")

    def output(self):
        return self.said.decode("utf-8", "replace")


def packet_counts(baresip):
    """baresip's own closing statistics: packets sent and received, errors, lost."""
    rows = {}
    for name in ("packets", "errors", "lost"):
        found = re.search(rf"^{name}:\s+(-?\d+)\s+(-?\d+)", baresip.output(), re.M)
        check(found, f"baresip printed no statistics: {baresip.output()[-300:]!r}")
        rows[name] = (int(found[1]), int(found[2]))
    return rows
