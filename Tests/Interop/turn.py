#!/usr/bin/env python3
"""Calls by way of coturn, a STUN and TURN server of others: two Apus that may be known by relays only, in every receive mode; and what
becomes of a call when the server wants another password, or says nothing."""
import re
import socket
import time

from coturn import PORT, RELAYS, SECURE_PORT, Coturn
from lab import HOST, MODES, Listener, Network, Report, check, score, wait_for
from peers import MODULES, ApusRun

SECONDS, WANTED = 9, 3.5


class Silence:
    """A port that takes what comes, and says nothing."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        def bind():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((HOST, PORT))

        self.namespace.inside(bind)
        return self

    def __exit__(self, *_):
        self.socket.close()


STUN, UDP, TCP, TLS = (f"stun:{HOST}:{PORT}", f"turn:{HOST}:{PORT}", f"turn:{HOST}:{PORT}?transport=tcp",
                       f"turns:{HOST}:{SECURE_PORT}")


def apus(mode, namespace, server=UDP, password="secret", policy="relay", mux="yes", authority=None, **more):
    account = f";answermode=auto;medianat=ice;rtcp_mux={mux};stunserver=\"{server}\";stunuser=apus;stunpass={password}"
    trust = f"sip_cafile {authority}\n" if authority else ""
    return ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice",), parameters=account,
                   extra=f"ice_policy {policy}\nopus_bitrate 64000\n{trust}", **more)


def call(namespace, mode, during=(), seconds=SECONDS, **how):
    """One call from one to the other; what they are when it is over, and how long it took until they heard each other."""
    with apus(mode, namespace, **how) as bob:
        began = time.monotonic()
        with apus(mode, namespace, dial=bob.uri, **how) as alice:
            for each in (alice, bob):
                each.wait_for("the peer is heard")
            took = time.monotonic() - began
            for command in during:
                time.sleep(1.5)
                alice.command(command)
            time.sleep(seconds - 1.5 * len(during))
            alice.command("/hangup")
            alice.wait_for("ended, hangup")
            bob.wait_for("ended, hangup")
            time.sleep(0.3)
    for each in (alice, bob):
        check(each.code == 0, f"apus exits with {each.code}: {each.output()[-300:]!r}")
        found = re.findall(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped (\d+)", each.output())
        check(found, f"no call went well: {each.output()[-400:]!r}")
        # A relay passes nothing on before it is asked to: of the first checks, and what they lead to, some are repeated.
        check(min(map(int, found[-1][:2])) > 40 * seconds - 75 * len(during) and found[-1][2] == "0", f"media did not flow: {found}")
        check("secret" not in each.output() and "wrong" not in each.output(), "a password is shown")
    return alice, bob, took


def renewed(log):
    for words in ("ALLOCATE processed, success", "CREATE_PERMISSION processed, success", "CHANNEL_BIND processed, success",
                  "REFRESH processed, success", "lifetime=0"):
        check(words in log, f"coturn does not say {words!r}")
    check(re.search(r"error 438", log), "no nonce went stale")


def relayed(listener, log):
    """That nothing of media's went from one to the other but by the server, most of it on channels; and that all was renewed."""
    media = [each for each in listener.datagrams if each.payload and b"SIP/2.0" not in each.payload and each.source != PORT
             and each.source not in RELAYS and (each.target == PORT or 64 > each.payload[0] or each.is_rtp)]
    straight = [each for each in media if each.target != PORT]
    check(not straight, f"{len(straight)} datagrams not to the server, the first {straight[:1] and straight[0].payload[:8]}")
    channels = sum(64 <= each.payload[0] < 80 for each in media)
    check(channels > 0.8 * len(media), f"{channels} of {len(media)} datagrams on channels")
    renewed(log)
    return f"{channels} of {len(media)} datagrams on channels"


def relay_only(mode, mux="yes", during=()):
    with Network() as namespace, Coturn(namespace) as server, Listener(namespace) as listener:
        alice, bob, took = call(namespace, mode, during=during, mux=mux)
        log = server.log()
    note = relayed(listener, log)
    if during:
        return note
    both = [score(each.recording(), "opus") for each in (alice, bob)]
    check(min(both) >= WANTED, f"PESQ {both[0]:.2f} and {both[1]:.2f}, wanted {WANTED}")
    return f"{note}, heard after {took:.1f} s, PESQ {both[0]:.2f} and {both[1]:.2f}"


def over_connection(server, mode, mux="yes", during=()):
    """Both are relayed, and reach coturn over connections: no datagram of theirs is seen, but from one relay to the other."""
    with Network() as namespace, Coturn(namespace) as coturn, Listener(namespace) as listener:
        alice, bob, took = call(namespace, mode, during=during, mux=mux, server=server, authority=coturn.certificate)
        log = coturn.log()
    media = [each for each in listener.datagrams if b"SIP/2.0" not in each.payload]
    others = [each for each in media if each.source not in RELAYS or each.target not in RELAYS]
    check(not others, f"{len(others)} datagrams not between relays, the first {others[:1]}")
    check(len(media) > 80 * SECONDS, f"{len(media)} datagrams between relays")
    renewed(log)
    if during:
        return f"{len(media)} datagrams between relays"
    both = [score(each.recording(), "opus") for each in (alice, bob)]
    check(min(both) >= WANTED, f"PESQ {both[0]:.2f} and {both[1]:.2f}, wanted {WANTED}")
    return f"{len(media)} datagrams between relays, heard after {took:.1f} s, PESQ {both[0]:.2f} and {both[1]:.2f}"


def lost_server(server):
    """A server that ends takes the call with it: that is said, and waits for nothing."""
    with Network() as namespace, Coturn(namespace) as coturn, apus("thread", namespace, server, authority=coturn.certificate) as bob, \
            apus("thread", namespace, server, authority=coturn.certificate, dial=bob.uri) as alice:
        alice.wait_for("the peer is heard")
        time.sleep(1)
        coturn.__exit__()
        # The one whose good-bye is quicker saves the other from finding out.
        wait_for(lambda: f"ICE: {server} has " in alice.output() + bob.output(), 5, "the lost connection is said")
        for each in (alice, bob):
            each.wait_for("ended", 5)


def distrusted(name, trusts, expected):
    """A certificate that proves nothing: that is said, and the call goes on without the server."""
    with Network() as namespace, Coturn(namespace, name) as coturn:
        alice, bob, _ = call(namespace, "thread", server=TLS, policy="all", seconds=3, authority=coturn.certificate if trusts else None)
        log = coturn.log()
    for each in (alice, bob):
        check(each.output().count(f"{TLS} has a certificate {expected}") == 1, f"not said once: {each.output()[:600]!r}")
    check("ALLOCATE processed" not in log, "the server was asked")


def straight(server):
    """Where a relay is not needed the call goes without."""
    with Network() as namespace, Coturn(namespace), Listener(namespace) as listener:
        call(namespace, "thread", server=server, policy="all", seconds=3)
    check(not any(64 <= each.payload[0] < 80 for each in listener.datagrams if each.payload), "media went by the server")
    check(any(each.target == PORT for each in listener.datagrams), "the server was not asked")


def without(expected, limits, password="secret", peer=Coturn):
    """The server is of no use: that is said in one sentence, and the call goes on. Only the caller waits for it (RFC 8840)."""
    with Network() as namespace, peer(namespace):
        alice, bob, took = call(namespace, "thread", password=password, policy="all", seconds=3)
    for each in (alice, bob):
        check(each.output().count(expected) == 1, f"not said once: {each.output()[:600]!r}")
    check(limits[0] <= took <= limits[1], f"heard after {took:.1f} s")
    return f"heard after {took:.1f} s"


def refused():
    """Where nothing but a relay is allowed, no relay is no call."""
    with Network() as namespace, Coturn(namespace):
        with apus("thread", namespace) as bob, apus("thread", namespace, password="wrong", dial=bob.uri) as alice:
            alice.wait_for("no server gives a relay, and ice_policy relay allows nothing else")
    check("incoming" not in bob.output(), "the peer was called")


report = Report()
cases = [(f"two apus by a relay only, {mode}", relay_only, mode) for mode in MODES]
cases += [(f"two apus by a relay over {name} only, {mode}", over_connection, server, mode)
          for name, server in (("TCP", TCP), ("TLS", TLS)) for mode in MODES]
cases += [("two apus by relays over TCP only, RTCP by one of its own", over_connection, TCP, "thread", "no"),
          ("hold, resume and an ICE restart by a relay over TLS", over_connection, TLS, "pool", "yes", ("/hold", "/resume", "/icerestart")),
          ("a turn server over TCP that ends", lost_server, TCP), ("a turn server over TLS that ends", lost_server, TLS),
          ("a turn server whose certificate is for another name", distrusted, "DNS:other.example", True, "for another name"),
          ("a turn server whose authority nobody trusts", distrusted, f"IP:{HOST}", False, "of no authority that is trusted here")]
cases += [("two apus by relays only, RTCP by one of its own", relay_only, "thread", "no"),
          ("hold, resume and an ICE restart by a relay", relay_only, "pool", "yes", ("/hold", "/resume", "/icerestart")),
          ("a turn server that is not needed", straight, UDP), ("a stun server", straight, STUN),
          ("a wrong password", without, f"turn:{HOST}:{PORT} refuses the user or the password", (0, 3), "wrong"),
          ("a server that says nothing", without, f"turn:{HOST}:{PORT} has not answered within 2.0 s", (1.8, 5), "secret", Silence),
          ("a wrong password, and nothing but a relay allowed", refused)]
report.run(cases, at_once=3)
report.finish()
