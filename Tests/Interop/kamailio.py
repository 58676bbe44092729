"""Debian's Kamailio as a registrar and proxy with digest authentication, on ports of its own."""
import subprocess
import time

from lab import HERE, check, fresh, free_ports, is_bound, start, stop, text, wait_for
from peers import ApusRun

PASSWORDS = {"alice": "secret", "bob": "secret2", "carol": "secret3", "dave": "secret4"}
CERTIFICATES = fresh("certificates")


def openssl(*words):
    made = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, cwd=CERTIFICATES)
    check(made.returncode == 0, f"openssl {words[0]}: {made.stderr[-300:]}")


def make_certificates():
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-days", 30, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *curve, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (CERTIFICATES / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 30,
            "-extfile", "names", "-out", "server.crt")


class Kamailio:
    """One Kamailio; `restart` loses every registration."""

    def __init__(self, algorithm="MD5", namespace=None, port=None):
        self.namespace, first = namespace, port or free_ports(8)
        self.ports = {"udp": first, "tcp": first, "tls": first + 1, "ws": first + 2, "wss": first + 3}
        self.folder = fresh("kamailio")
        words = {"SIP_PORT": first, "TLS_PORT": first + 1, "WSS_PORT": first + 3, "WS_PORT": first + 2,
                 "CERTIFICATES": CERTIFICATES, "ALGORITHM": algorithm}
        config = (HERE / "kamailio.cfg").read_text()
        for word, value in words.items():
            config = config.replace(word, str(value))
        (self.folder / "kamailio.cfg").write_text(config)

    def up(self):
        self.process = start(
            ["kamailio", "-f", self.folder / "kamailio.cfg", "-DD", "-E", "-m", 32, "-M", 4, "-w", self.folder, "-Y",
             self.folder, "-P", self.folder / "pid"], self.folder / "kamailio", self.namespace)
        wait_for(lambda: is_bound(self.ports["udp"], self.namespace) or self.process.poll() is not None, 10,
                 "Kamailio is up")
        check(self.process.poll() is None, f"Kamailio ended: {text(self.process)[-500:]}")
        time.sleep(0.5)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        stop(self.process)

    def restart(self):
        stop(self.process)
        self.up()

    def address(self, user, transport):
        scheme, word = ("sips", "ws") if transport == "wss" else ("sip", transport)
        return f"{scheme}:{user}@127.0.0.1:{self.ports[transport]};transport={word}"

    def apus(self, user, transport, mode="main", mediaenc="none", parameters=";answermode=auto", password=None,
             interval=3600, extra=""):
        account = f"<{self.address(user, transport)}>;auth_pass={password or PASSWORDS[user]};regint={interval}"
        account += f"{parameters};audio_codecs=pcmu" + (f";mediaenc={mediaenc}" if mediaenc != "none" else "")
        return ApusRun(mode, mediaenc, "pcmu", account=account, options=("-s",),
                       extra=f"sip_cafile {CERTIFICATES}/ca.pem\n{extra}", namespace=self.namespace)
