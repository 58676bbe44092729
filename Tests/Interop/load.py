#!/usr/bin/env python3
"""`apus load` as a load tester: towards SIPp that echoes RTP, one that is busy, one that is not there, and baresip; what it
shows while it runs; and what its packets are on the wire."""
import json, os, pty, re, signal, subprocess, threading, time

from lab import APUS, Listener, Namespace, Report, apus, check, free_ports, fresh, rtp_payload, start, text
from peers import Baresip
from sipp import SIPp, Scenario

CALLS = 20


def histogram(figures, count):
    """The rows of a histogram are in order and hold each figure once."""
    rows = figures["histogram"]
    check(sum(row["count"] for row in rows) == count, f"{count} figures, {rows}")
    check([row["to"] for row in rows] == sorted(row["to"] for row in rows), f"{rows}")
    check(figures["p50"] <= figures["p99"] <= figures["p999"] <= figures["max"] <= rows[-1]["to"], f"{figures}")
    return figures


def towards_sipp():
    """Every leg hears its own audio again; each figure is of as many legs, calls or packets as there were."""
    with SIPp("uas", calls=CALLS, seconds=30, options=("-rtp_echo",)) as sipp:
        report = apus("load", sipp.uri, "--calls", CALLS, "--rate", 20, "--seconds", 4, "--codec", "pcmu", "--json").json()
        sipp.finish()
    of = report["summary"]
    check(report["ok"] and of["established"] == CALLS and of["failed"] == 0 and of["failures"] == [], f"{of}")
    check(of["share_encoding"] is False and of["decode"] is True and of["legs_per_call"] == 1, f"{of}")
    received = sum(call["rx"]["packets"] for call in report["calls"])
    check(of["lost"] == of["dropped"] == 0 and received >= CALLS * 4 * 50, f"{received} packets, {of}")
    # What still lay in the jitter buffers at the end was not decoded: 100 ms at least, of each leg.
    check(0 <= received - of["decoded_samples"] / 160 <= CALLS * 15, f"{received} packets, {of['decoded_samples']} samples")
    for name in ("setup_ms", "media_ms", "jitter_ms", "lost_per_leg"):
        histogram(of[name], CALLS)
    check(of["lost_per_leg"]["max"] == 0 and of["secure_ms"]["p50"] is None, f"{of}")
    delay, tick = of["rx_delay_us"], of["tick_delay_us"]
    for each in (delay, tick):
        count = sum(row["count"] for row in each["histogram"])
        check(abs(count - CALLS * 4 * 50) <= CALLS * 25, f"{count} figures of 4 s")
    check(1 < delay["p50"] < 20_000 and 1 < tick["p50"] < 20_000, f"{delay}, {tick}")
    return f"added delay p50 {delay['p50']:.0f} µs, p99 {delay['p99']:.0f} µs"


def shortcuts():
    with SIPp("uas", calls=5, seconds=30, options=("-rtp_echo",)) as sipp:
        report = apus("load", "--to", sipp.uri, "--calls", 5, "--rate", 20, "--seconds", 2, "--codec", "pcmu", "--json",
                      "--share-encoding", "--no-decode").json()
        sipp.finish()
    of = report["summary"]
    check(report["ok"] and of["established"] == 5 and of["lost"] == 0, f"{of}")
    check(of["share_encoding"] is True and of["decode"] is False, f"{of}")
    check(of["decoded_samples"] == 0 and all(call["rx"]["packets"] >= 100 for call in report["calls"]), f"{of}")


def busy():
    scenario = Scenario("busy").wants("INVITE").reply("486 Busy Here").wants("ACK")
    with SIPp(scenario, calls=4, seconds=30) as sipp:
        result = apus("load", sipp.uri, "--calls", 4, "--rate", 20, "--seconds", 1, "--codec", "pcmu", "--json")
        sipp.finish()
    of = result.json()["summary"]
    check(result.code == 1 and of["established"] == 0 and of["failed"] == 4, f"exit {result.code}, {of}")
    check(of["failures"] == [{"reason": "status 486", "count": 4}] and of["setup_ms"]["histogram"] == [], f"{of}")


def absent():
    """It ends with the last call, however long it was to take."""
    result = apus("load", f"sip:nobody@127.0.0.1:{free_ports(2)}", "--calls", 3, "--rate", 20, "--seconds", 60, "--json", limit=20)
    check(result.code == 69 and result.json()["summary"]["failed"] == 3, f"exit {result.code}: {result.err!r}")


def interrupted():
    """Ctrl-C while the next call is waited for ends those that stand, and the summary is there."""
    process = start([APUS, "load", "--calls", 5, "--rate", 0.02, "--codec", "pcmu", "--json"], fresh("interrupted") / "apus")
    time.sleep(3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(15)
    of = json.loads(text(process, "out"))["summary"]
    check(process.returncode == 1 and time.monotonic() - began < 10, f"exit {process.returncode}: {text(process)!r}")
    check(of["established"] == 1 and of["failures"] == [{"reason": "interrupted before the call", "count": 4}], f"{of}")


def many_a_second():
    """More calls a second than a stranger may make: no limit of ours is what is measured."""
    of = apus("load", "--calls", 300, "--rate", 1000, "--seconds", 1, "--codec", "pcmu", "--json").json()["summary"]
    check(of["established"] == 300 and of["failed"] == 0, f"{of}")


def towards_baresip():
    """DTLS-SRTP with a peer of another make: each call is secured, and the time it took is there."""
    with Baresip("dtls_srtp", "pcmu", 20, extra="call_hold_other_calls no\n") as bob:
        report = apus("load", bob.uri, "--calls", 3, "--rate", 5, "--seconds", 3, "--codec", "pcmu", "--mediaenc", "dtls_srtp",
                      "--json").json()
    of = report["summary"]
    check(report["ok"] and of["established"] == 3 and of["lost"] == 0, f"{of}")
    # As it always does, baresip begins and ends its RTCP in the clear.
    plaintext = [call["drops"].pop("plaintext") for call in report["calls"]]
    check(all(each <= 2 for each in plaintext) and of["dropped"] == sum(plaintext), f"{of}, in the clear {plaintext}")
    secure = histogram(of["secure_ms"], 3)
    return f"first secured RTP after {secure['max']:.0f} ms at most"


def one_port(mode):
    """All calls by one port, towards a peer of another make; and between two agents, where each has the other's one port."""
    with Namespace() as namespace:
        with Baresip("srtp-mand", "pcmu", 20, extra="call_hold_other_calls no\n", namespace=namespace) as bob, \
                Listener(namespace) as listener:
            there = apus("load", bob.uri, "--calls", 3, "--rate", 5, "--seconds", 3, "--codec", "pcmu", "--mediaenc", "srtp-mand",
                         "--rxmode", mode, "--single-port", "--json", namespace=namespace).json()["summary"]
    check(there["established"] == 3 and there["lost"] == 0 and there["single_port"] is True, f"{there}")
    flows = [flow for flow, datagrams in listener.rtp_flows().items() if len(datagrams) > 50]
    # Three ends are baresip's.
    ours = len({port for flow in flows for port in flow}) - 3
    check(len(flows) == 6 and ours == (1 if mode == "main" else min(os.cpu_count(), 3)), f"{flows}")
    here = apus("load", "--calls", CALLS, "--rate", 20, "--seconds", 3, "--codec", "pcmu", "--mediaenc", "srtp-mand",
                "--rxmode", mode, "--single-port", "--json").json()["summary"]
    check(here["established"] == CALLS and here["lost"] == 0 and here["dropped"] == 0, f"{here}")
    return f"three calls by {ours} port{'s' if ours > 1 else ''}"


def on_the_wire():
    """Ten a second begin a whole number of packet times after each other, and yet do not send at one moment; no two legs send
    the same."""
    with Namespace() as namespace:
        with Listener(namespace) as listener:
            result = apus("load", "--calls", CALLS, "--rate", 10, "--seconds", 2, "--codec", "pcmu", "--json", namespace=namespace)
    check(result.code == 0, f"exit {result.code}: {result.err!r}")
    flows = [flow for flow in listener.rtp_flows().values() if len(flow) > 50]
    check(len(flows) == 2 * CALLS, f"{len(flows)} flows")
    # The punctual one of many tells the phase: the others are delayed by what else this machine does.
    phases = [min(each.time * 1000 - 20 * index for index, each in enumerate(flow[20:100])) % 20 for flow in flows]
    parts = {int(phase / 2) for phase in phases}
    check(len(parts) >= 7, f"in {len(parts)} of 10 parts of a packet time: {sorted(parts)}")
    # A second and more: longer than any pause of the speech.
    at_once = [tuple(rtp_payload(each.payload) for each in flow[20:100]) for flow in flows]
    check(len(set(at_once)) == len(flows), "two legs send the same audio")
    check(all(len(set(one)) > 1 for one in at_once), "a leg sends silence, or the same again and again")
    return f"{len(parts)} of 10 parts of a packet time"


def plain_lines():
    """Without a terminal: a line every five seconds on standard error, the result on standard output."""
    result = apus("load", "--calls", 4, "--rate", 10, "--seconds", 10, "--codec", "pcmu")
    lines = result.err.splitlines()
    check(result.code == 0 and 1 <= len(lines) <= 3 and "\r" not in result.err, f"exit {result.code}: {result.err!r}")
    check(all(re.match(r"\d+ s  4 of 4 calls, 4 up, 0 failed  \d+ packets/s, lost 0, dropped 0  delay p99 ", line)
              for line in lines), f"{lines}")
    rates = [int(re.search(r"(\d+) packets/s", line)[1]) for line in lines]
    check(all(300 <= rate <= 440 for rate in rates[1:]), f"8 legs at 50 packets a second: {rates}")
    for title in ("INVITE to answer: p50", "kernel's receive to packet handed on: p50", "jitter of a leg: p50", "packets lost by a leg"):
        check(title in result.out, f"no {title!r} in {result.out!r}")
    check("####" in result.out and "shortcut" not in result.out, f"{result.out!r}")


def on_a_terminal():
    """One line that rewrites itself, and is gone at the end."""
    ours, theirs = pty.openpty()
    where, shown = fresh("terminal"), bytearray()

    def read():
        while True:
            try:
                shown.extend(os.read(ours, 4096) or b"")
            except OSError:
                return

    process = subprocess.Popen([APUS, "load", "--calls", "2", "--seconds", "2", "--codec", "pcmu"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=theirs, cwd=where, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    out = process.communicate(timeout=30)[0].decode()
    reader.join(2)
    text = shown.decode("utf-8", "replace")
    check(process.returncode == 0 and "INVITE to answer" in out and "\r" not in out, f"exit {process.returncode}: {out!r}")
    updates = text.split("\r\x1b[K")
    check(len(updates) > 5 and "\n" not in text, f"{text!r}")
    check(any("2 of 2 calls, 2 up, 0 failed" in each for each in updates) and updates[-1] == "", f"{updates[-3:]}")


report = Report()
report.run([
    ("towards SIPp that echoes", towards_sipp),
    ("encoding shared, nothing decoded, towards SIPp", shortcuts),
    ("towards SIPp that is busy", busy),
    ("towards nobody", absent),
    ("Ctrl-C while calls are placed", interrupted),
    ("a thousand calls a second", many_a_second),
    ("DTLS-SRTP towards baresip", towards_baresip),
    *((f"one port for all calls, {mode}", lambda mode=mode: one_port(mode)) for mode in ("main", "pool")),
    ("on the wire", on_the_wire),
    ("progress in lines", plain_lines),
    ("progress on a terminal", on_a_terminal),
], at_once=3)
report.finish()
