"""coturn, a STUN and TURN server of others."""
import subprocess

from lab import HOST, fresh, is_bound, start, stop, text, wait_for

PORT, SECURE_PORT, RELAYS = 3478, 5349, range(61000, 65001)


class Coturn:
    """coturn in a namespace; its allocations last seven seconds and its nonces four, so that a call has to renew them."""

    def __init__(self, namespace, name=f"IP:{HOST}"):
        """`name`: what its certificate is for."""
        self.namespace, self.folder = namespace, fresh("coturn")
        self.certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=coturn", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", self.certificate], check=True,
            capture_output=True)
        self.process = start(
            ["turnserver", "-n", "-L", HOST, "-E", HOST, "-p", PORT, "--min-port", RELAYS.start, "--max-port", RELAYS.stop - 1, "-v",
             "--lt-cred-mech", "-u", "apus:secret", "-r", "example.org", "--no-cli", "--no-dtls", "--simple-log",
             "--tls-listening-port", SECURE_PORT, "--cert", self.certificate, "--pkey", key,
             "--max-allocate-lifetime=7", "--stale-nonce=4", "--log-file=stdout", f"--pidfile={self.folder}/pid"],
            self.folder / "coturn", namespace)

    def __enter__(self):
        wait_for(lambda: is_bound(PORT, self.namespace), 10, "coturn is up")
        return self

    def __exit__(self, *_):
        stop(self.process)

    def log(self):
        return text(self.process, "out")
