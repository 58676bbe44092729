#!/usr/bin/env python3
"""Registration and calls through Kamailio: every transport, MD5 and SHA-256; wrong passwords; a registrar that restarts;
Debian's baresip at the other end."""
import subprocess
import time

from lab import HERE, Failure, Report, check, fresh, free_ports, is_bound, start, stop, text, wait_for
from peers import ApusRun, Baresip

SECONDS = 3
PASSWORDS = {"alice": "secret", "bob": "secret2", "carol": "secret3"}
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
    """Debian's Kamailio on ports of its own; `restart` loses every registration."""

    def __init__(self, algorithm="MD5"):
        first = free_ports(8)
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
             self.folder, "-P", self.folder / "pid"], self.folder / "kamailio")
        wait_for(lambda: is_bound(self.ports["udp"]) or self.process.poll() is not None, 10, "Kamailio is up")
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
             interval=3600):
        account = f"<{self.address(user, transport)}>;auth_pass={password or PASSWORDS[user]};regint={interval}"
        account += f"{parameters};audio_codecs=pcmu" + (f";mediaenc={mediaenc}" if mediaenc != "none" else "")
        return ApusRun(mode, mediaenc, "pcmu", account=account, extra=f"sip_cafile {CERTIFICATES}/ca.pem\n",
                       options=("-s",))


def talk(alice, bob, target):
    alice.command(f"/dial {target}")
    alice.wait_for("established")
    time.sleep(SECONDS)
    alice.command("/hangup")
    alice.wait_for("ended, hangup")
    bob.wait_for("ended, hangup")
    for who in (alice, bob):
        heard = who.recording().stat().st_size
        check(heard > 16000 * (SECONDS - 1.5), f"recorded {heard} bytes")


def through(transport, algorithm, mode, mediaenc):
    with Kamailio(algorithm) as proxy:
        with proxy.apus("alice", transport, mode, mediaenc) as alice, proxy.apus("bob", transport, mode, mediaenc) as bob:
            for who in (alice, bob):
                who.wait_for("registered")
            check(f"algorithm={algorithm}" in alice.output() or algorithm == "MD5", "another algorithm was used")
            talk(alice, bob, proxy.address("bob", transport))
        # Who leaves says so.
        check("Expires: 0" in alice.output() or "expires=0" in alice.output(), "alice did not take her Contact back")


def wrong_password():
    with Kamailio() as proxy, proxy.apus("alice", "udp", password="guess") as alice:
        alice.wait_for("401")
        alice.wait_for("password")


def kept_flow(transport):
    """Outbound (RFC 5626): pings every few seconds are answered, so one registration stands."""
    with Kamailio() as proxy, proxy.apus("alice", transport, parameters=";sipnat=outbound") as alice:
        alice.wait_for("registered")
        time.sleep(25)
        said = alice.output()
        check("Flow-Timer: 5" in said, "Kamailio did not agree to outbound")
        check("not registered" not in said, f"the flow broke: {said[-300:]}")


def restart():
    with Kamailio() as proxy:
        with proxy.apus("alice", "tcp", interval=6) as alice, proxy.apus("bob", "tcp", interval=6) as bob:
            for who in (alice, bob):
                who.wait_for("registered")
            proxy.restart()
            deadline = time.monotonic() + 40
            while True:
                alice.command(f"/dial {proxy.address('bob', 'tcp')}")
                try:
                    alice.wait_for("established", 4)
                    break
                except Failure:
                    check(time.monotonic() < deadline, f"no call after the restart: {alice.output()[-600:]}")
            alice.command("/hangup")
            bob.wait_for("ended, hangup")


make_certificates()
report = Report()
cases = [(f"register and call over {way}, {algorithm}, {mode}, {mediaenc}", through, way, algorithm, mode, mediaenc)
         for way, algorithm, mode, mediaenc in (
             ("udp", "MD5", "main", "none"), ("udp", "SHA-256", "thread", "srtp-mand"), ("tcp", "MD5", "pool", "dtls_srtp"),
             ("tls", "SHA-256", "main", "srtp-mand"), ("ws", "MD5", "thread", "dtls_srtp"),
             ("wss", "SHA-256", "pool", "none"))]
cases += [("a wrong password is said, and not tried for ever", wrong_password),
          ("a registrar that restarts has us again", restart)]
cases += [(f"a flow over {way} is kept by its pings", kept_flow, way) for way in ("tcp", "tls", "ws")]
report.run(cases, at_once=4)
report.finish()
