#!/usr/bin/env python3
"""Debian's linphonec and Apus find their way by ICE, whoever calls, in each receive mode: both agree on it, media goes where the
checks say, and nothing is lost."""
import time

from lab import HOST, MODES, Report, check
from linphone import Linphone, RoutedNetwork
from peers import MODULES, ApusRun, flowed

SECONDS = 4


def call(mode, mediaenc, is_caller):
    more = {"host": HOST, "modules": MODULES + ("ice",), "parameters": ";answermode=auto;medianat=ice"}
    with RoutedNetwork() as network:
        if is_caller:
            with Linphone(network, mediaenc, answers=True, host=HOST, ice=True) as linphone, \
                    ApusRun(mode, mediaenc, "pcmu", namespace=network, dial=linphone.uri, **more) as apus:
                said = talk(apus, linphone)
        else:
            with ApusRun(mode, mediaenc, "pcmu", namespace=network, **more) as apus, \
                    Linphone(network, mediaenc, answers=False, host=HOST, ice=True) as linphone:
                linphone.command(f"call {apus.uri}")
                said = talk(apus, linphone)
    check(apus.code == 0, f"apus run ended with {apus.code}: {apus.output()[-300:]!r}")
    flowed(apus)
    for words in ("Finished ICE check list", "IceStateHostConnection"):
        check(words in said, f"linphonec's log does not have {words!r}")
    return f"{said.count('Recv binding request')} checks came to linphonec"


def talk(apus, linphone):
    apus.wait_for("established")
    apus.wait_for("the peer is heard")
    time.sleep(SECONDS)
    linphone.command("terminate")
    apus.wait_for("ended", 5)
    return linphone.log()


report = Report()
report.run([(f"{'apus calls linphonec' if is_caller else 'linphonec calls apus'} by ICE, {mediaenc}, {mode}", call, mode, mediaenc,
             is_caller)
            for mode in MODES for mediaenc in ("srtp-mand", "dtls_srtp") for is_caller in (True, False)], at_once=4)
report.finish()
