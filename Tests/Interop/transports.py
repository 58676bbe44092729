#!/usr/bin/env python3
"""SIP over TCP and TLS between Apus and Debian's baresip, each calling the other; certificates that must be refused; big
requests that leave UDP for TCP."""
import subprocess
import time

from lab import Report, check, fresh
from peers import ApusRun, Baresip

SECONDS = 5
CERTIFICATES = fresh("certificates")


def openssl(*words):
    made = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, cwd=CERTIFICATES)
    check(made.returncode == 0, f"openssl {words[0]}: {made.stderr[-300:]}")


def make_certificates():
    """Two authorities, and certificates of both: for 127.0.0.1 and for another name."""
    for authority in ("ca", "rogue_ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                "-subj", f"/CN={authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    for name, authority, names in (("server", "ca", "IP:127.0.0.1,DNS:localhost"), ("rogue", "rogue_ca", "IP:127.0.0.1"),
                                   ("elsewhere", "ca", "DNS:elsewhere.test")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (CERTIFICATES / "names").write_text(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-days", 30, "-extfile", "names", "-out", f"{name}.crt")
        both = (CERTIFICATES / f"{name}.crt").read_text() + (CERTIFICATES / f"{name}.key").read_text()
        (CERTIFICATES / f"{name}.pem").write_text(both)


def tls(name):
    return f"sip_certificate {CERTIFICATES}/{name}.pem\nsip_cafile {CERTIFICATES}/ca.pem\n"


def target(uri, transport):
    """The peer's URI; TLS is at the port after the one that UDP and TCP share."""
    if transport == "tls":
        front, port = uri.rsplit(":", 1)
        uri = f"{front}:{int(port) + 1}"
    return f"{uri};transport={transport}"


def apus_calls(transport):
    with Baresip("none", "pcmu", SECONDS + 12, extra=tls("server")) as bob:
        with ApusRun("main", "none", "pcmu", extra=tls("server"), options=("-s",)) as alice:
            alice.command(f"/dial {target(bob.uri, transport)}")
            alice.wait_for("established")
            time.sleep(SECONDS)
            alice.command("/hangup")
            alice.wait_for("ended, hangup")
            check(f"Via: SIP/2.0/{transport.upper()} " in alice.output(), "the INVITE's Via names another transport")
            heard = alice.recording().stat().st_size
    check(heard > 16000 * (SECONDS - 2), f"apus recorded {heard} bytes")


def baresip_calls(transport):
    with ApusRun("main", "none", "pcmu", extra=tls("server"), options=("-s",)) as bob:
        with Baresip("none", "pcmu", SECONDS, answers=False, dial=target(bob.uri, transport), user="alice",
                     extra=tls("server")) as alice:
            alice.process.wait(SECONDS + 10)
        bob.wait_for("ended, hangup")
        check(f"Via: SIP/2.0/{transport.upper()} " in bob.output(), "the INVITE's Via names another transport")
        check(bob.recording().stat().st_size > 16000 * (SECONDS - 3), "apus recorded too little")


def refused(certificate, words):
    with Baresip("none", "pcmu", SECONDS + 12, extra=tls(certificate)) as bob:
        with ApusRun("main", "none", "pcmu", extra=f"sip_cafile {CERTIFICATES}/ca.pem\n") as alice:
            alice.command(f"/dial {target(bob.uri, 'tls')}")
            alice.wait_for(words)
        with ApusRun("main", "none", "pcmu", extra="sip_verify_server no\n") as alice:
            alice.command(f"/dial {target(bob.uri, 'tls')}")
            alice.wait_for("established")
            alice.command("/hangup")
            alice.wait_for("ended, hangup")


def old_tls():
    """TLS 1.1 is not spoken, 1.2 and 1.3 are."""
    with ApusRun("main", "none", "pcmu", extra=tls("server")) as bob:
        at = f"127.0.0.1:{bob.port + 1}"
        for version, is_spoken in (("tls1_1", False), ("tls1_2", True), ("tls1_3", True)):
            said = subprocess.run(
                ["openssl", "s_client", "-connect", at, f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0", "-CAfile",
                 CERTIFICATES / "ca.pem", "-verify_return_error", "-verify_ip", "127.0.0.1"],
                input="", capture_output=True, text=True, timeout=15)
            check(("Verify return code: 0 (ok)" in said.stdout and said.returncode == 0) == is_spoken,
                  f"{version}: exit {said.returncode}, {said.stdout[-200:]!r} {said.stderr[-200:]!r}")


make_certificates()
report = Report()
cases = [(f"apus calls baresip over {way}", apus_calls, way) for way in ("tcp", "tls")]
cases += [(f"baresip calls apus over {way}", baresip_calls, way) for way in ("tcp", "tls")]
cases += [("a certificate of a strange authority is refused", refused, "rogue", "sip_cafile"),
          ("a certificate of another name is refused", refused, "elsewhere", "for another name"),
          ("TLS 1.2 and 1.3 only", old_tls)]
report.run(cases, at_once=4)
report.finish()
