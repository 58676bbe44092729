#!/usr/bin/env python3
"""A call whose callee gets two per cent of a processor: slow, never wrong, and whole again afterwards."""
import contextlib
import signal
import threading
import time

from lab import MODES, Report, apus, check, fresh, load, speech_share
from peers import ApusRun

STARVED, AFTER = 9, 6


@contextlib.contextmanager
def starving(process):
    """Lets the process run for 20 ms of every second."""
    is_over = threading.Event()

    def alternate():
        while not is_over.is_set():
            process.send_signal(signal.SIGSTOP)
            is_over.wait(0.98)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.02)

    thread = threading.Thread(target=alternate, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        process.send_signal(signal.SIGCONT)


def starved(mediaenc, mode):
    folder, results = fresh("apus-call"), []
    with ApusRun(mode, mediaenc, "pcmu") as bob:
        def call():
            results.append(apus("call", bob.uri, "--mediaenc", mediaenc, "--codec", "pcmu", "--rxmode", mode, "--record",
                                folder / "heard.wav", "--seconds", STARVED + AFTER, "--json", folder=folder, limit=60))

        caller = threading.Thread(target=call)
        bob.wait_for("is listening")
        # The call is set up, with its handshake, while the callee starves.
        with starving(bob.process):
            caller.start()
            time.sleep(STARVED)
        caller.join(60)
        bob.wait_for("ended, hangup", 5)
    check(bob.code == 0, f"apus run ended with {bob.code}: {bob.output()[-300:]!r}")
    check(results, "the caller did not end")
    report = results[0].json()
    check(results[0].code == 0 and report["ok"], f"exit {results[0].code}: {results[0].err[-300:]!r}")
    call = report["calls"][0]
    check(call["mediaenc"] == mediaenc, f"{call}")
    drops = call["drops"]
    check(drops["auth"] == drops["plaintext"] == drops["source"] == drops["unknown"] == 0, f"drops {drops}")
    # Half a second may be made good in a burst; the rest of a second was not there and is not invented.
    packets = call["rx"]["packets"]
    check(49 * (AFTER - 3) <= packets <= 32 * STARVED + 51 * AFTER, f"{packets} packets came")
    agreement = speech_share(load(folder / "heard.wav", 8000)[-8000 * 3:])
    check(agreement > 0.3, f"afterwards the speech is heard by {agreement:.2f}")
    return f"{packets} packets, {agreement:.2f} of the speech afterwards"


report = Report()
report.run([(f"starved, {way}, {mode}", starved, way, mode) for mode in MODES for way in ("srtp-mand", "dtls_srtp")],
           at_once=6)
report.finish()
