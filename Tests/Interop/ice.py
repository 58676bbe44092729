#!/usr/bin/env python3
"""Debian's baresip with ICE and DTLS-SRTP calls Apus and is called by it, in every receive mode; and without ICE on its side."""
import time

from lab import HOST, MODES, Listener, Network, Report, check
from peers import MODULES, ApusRun, Baresip, flowed

SECONDS = 5


def apus_with_ice(mode, namespace, mux, **more):
    return ApusRun(mode, "dtls_srtp", "pcmu", namespace=namespace, host=HOST, modules=MODULES + ("ice",),
                   parameters=f";answermode=auto;medianat=ice;rtcp_mux={mux}", **more)


def baresip(namespace, mux, ice, **more):
    return Baresip("dtls_srtp", "pcmu", SECONDS + 3, namespace=namespace, host=HOST, extra="module ice.so\n" if ice else "",
                   parameters=";medianat=ice" if ice else "", rtcp_mux=mux, **more)


def checked(listener, ice):
    """That both sent checks, and nothing of DTLS or media went before one was answered."""
    media = [each for each in listener.datagrams if each.source % 2 == 0 and each.payload
             and (each.payload[0] < 64 or 128 <= each.payload[0] < 192)]
    checks = [each for each in media if each.payload[0] < 2]
    sources = {each.source for each in checks if each.payload[:2] == b"\x00\x01"}
    check(len(sources) == (2 if ice else 0), f"checks from ports {sorted(sources)}")
    if ice:
        first = min(each.time for each in checks if each.payload[:2] == b"\x01\x01")
        early = [each for each in media if each.payload[0] >= 2 and each.time < first]
        check(not early, f"{len(early)} datagrams before any check was answered")
    return f"{len(checks)} STUN datagrams"


def apus_calls(mode, mux, ice):
    with Network() as namespace, Listener(namespace) as listener:
        with baresip(namespace, mux, ice) as bob, apus_with_ice(mode, namespace, mux, dial=bob.uri) as alice:
            alice.wait_for("the peer is heard")
            time.sleep(SECONDS - 2)
            alice.command("/hangup")
            alice.wait_for("ended, hangup")
    flowed(alice)
    check(bob.secured("dtls_srtp"), f"baresip does not say that it encrypts: {bob.output()[-300:]!r}")
    return checked(listener, ice)


def baresip_calls(mode, mux, ice):
    with Network() as namespace, Listener(namespace) as listener:
        with apus_with_ice(mode, namespace, mux) as bob:
            with baresip(namespace, mux, ice, answers=False, dial=bob.uri, user="alice") as alice:
                bob.wait_for("the peer is heard")
                alice.process.wait(SECONDS + 10)
            bob.wait_for("ended, hangup")
    flowed(bob)
    check(alice.secured("dtls_srtp"), f"baresip does not say that it encrypts: {alice.output()[-300:]!r}")
    return checked(listener, ice)


report = Report()
cases = []
for mode, mux in [(mode, "yes") for mode in MODES] + [("thread", "no")]:
    cases.append((f"apus calls baresip, ice, rtcp_mux {mux}, {mode}", apus_calls, mode, mux, True))
    cases.append((f"baresip calls apus, ice, rtcp_mux {mux}, {mode}", baresip_calls, mode, mux, True))
cases.append(("apus offers ice, baresip has none, thread", apus_calls, "thread", "no", False))
cases.append(("baresip offers none, apus has ice, thread", baresip_calls, "thread", "no", False))
report.run(cases, at_once=5)
report.finish()
