#!/usr/bin/env python3
"""Registration and calls through Kamailio: every transport, MD5 and SHA-256; wrong passwords; a registrar that restarts."""
import re
import time

from kamailio import Kamailio, make_certificates
from lab import Failure, Report, check

SECONDS = 3


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
    """Outbound (RFC 5626): pings every few seconds are answered, over UDP by STUN, so one registration stands."""
    with Kamailio() as proxy, proxy.apus("alice", transport, parameters=";sipnat=outbound") as alice:
        alice.wait_for("registered")
        time.sleep(25)
        said = alice.output()
        check("Flow-Timer: 5" in said, "Kamailio did not agree to outbound")
        check("not registered" not in said, f"the flow broke: {said[-300:]}")
        alice.command("/sipstat")
        alice.wait_for("missedPongs")
        count = {name: int(re.search(rf"{name}\W+(\d+)", alice.output())[1]) for name in ("pingsSent", "missedPongs", "keepAlives")}
        check(count["pingsSent"] >= 4 and count["missedPongs"] == 0, f"{count}")
        # Over UDP line ends are not answered.
        check(transport != "udp" or count["keepAlives"] >= 4, f"STUN is not answered: {count}")


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
cases += [(f"a flow over {way} is kept by its pings", kept_flow, way) for way in ("udp", "tcp", "tls", "ws")]
report.run(cases, at_once=4)
report.finish()
