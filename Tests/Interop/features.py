#!/usr/bin/env python3
"""What a call does besides carrying sound, against baresip, SIPp and itself: hold, cancel, digits, IPv6, timeouts, early media,
the shipped folders, load, signals."""
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time

import numpy as np

from foreign import ForeignPeer
from lab import (APUS, HERE, MODES, ROOT, Listener, Namespace, Report, apus, check, fresh, free_ports, load, start, stop,
                 text, wait_for, what_is_heard)
from peers import MODULES, ApusRun, Baresip, TypedApus, apus_folder


def folder(name):
    return ROOT / "Config" / name


def good(result):
    """The first call of a run that must have gone well."""
    report = result.json()
    check(result.code == 0 and report["ok"], f"exit {result.code}: {result.err[-300:]!r}")
    return report["calls"][0]


def flowed(each, dropped=0):
    """That its last call carried media both ways, lost nothing and dropped at most so many packets."""
    found = re.findall(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped (\d+)", each.output())
    check(found, f"no call went well: {each.output()[-300:]!r}")
    *packets, unwanted = map(int, found[-1])
    check(min(packets) > 50 and unwanted <= dropped, f"media did not flow: {each.output()[-300:]!r}")


# SIPp

def sipp(scenario, port, seconds=10, service="bob"):
    """Runs one of our scenarios once towards a port; SIPp's own checks are ours."""
    where = fresh("sipp")
    process = start(["sipp", f"127.0.0.1:{port}", "-sf", HERE / "sipp" / f"{scenario}.xml", "-s", service, "-m", 1, "-i", "127.0.0.1",
                     "-p", free_ports(2), "-mp", free_ports(4), "-nostdin", "-timeout", seconds, "-timeout_error",
                     "-trace_err", "-error_file", where / "errors"], where / "sipp", cwd=where)
    process.wait(seconds + 5)
    errors = (where / "errors").read_text() if (where / "errors").exists() else text(process)
    check(process.returncode == 0, f"sipp {scenario}: exit {process.returncode}: {errors[:500]!r}")


def hold_by_sipp():
    with ApusRun("thread", "none", "pcma") as bob:
        sipp("hold", bob.port)
        bob.wait_for("ended, hangup")
    said = re.findall(r"call 1: (held|resumed) by the peer", bob.output())
    check(said == ["held", "resumed"], f"apus said {said}")
    check(bob.code == 0, f"exit {bob.code}")


def options():
    with ApusRun("main", "none", "pcma") as bob:
        sipp("options", bob.port)


def cancel():
    with ApusRun("main", "none", "pcma", parameters="") as bob:
        sipp("cancel", bob.port)
        bob.wait_for("ended, cancelled")
        bob.command("/listcalls")
        bob.wait_for("Active calls (0)")
    check(bob.code == 0, f"exit {bob.code}")


def early_media():
    port, where = free_ports(2), fresh("sipp")
    process = start(["sipp", "-sf", HERE / "sipp/early.xml", "-i", "127.0.0.1", "-p", port, "-mp", free_ports(4), "-m", 1, "-nostdin",
                     "-timeout", 15, "-timeout_error"], where / "sipp", cwd=where)
    time.sleep(0.5)
    heard = where / "heard.wav"
    result = apus("call", f"sip:early@127.0.0.1:{port}", "--codec", "pcma", "--record", heard, "--seconds", 2, "--json",
                  folder=where)
    stop(process)
    report = result.json()
    check(report["calls"], f"there was no call: {result.err[-300:]!r}")
    call = report["calls"][0]
    check(call["setup_ms"] and call["setup_ms"] > 1900, f"setup_ms {call['setup_ms']}, the answer takes 2 s")
    check(call["media_ms"] and call["media_ms"] < 1000, f"media_ms {call['media_ms']}: nothing was heard before the answer")
    samples = load(heard, 8000)[: 2 * 8000 - 800]
    check(len(samples) and abs(samples).max() > 0.01, "the early media are silence")
    return f"heard after {call['media_ms']:.0f} ms, answered after {call['setup_ms']:.0f} ms"


# Two `apus run`, and baresip

def hold_by_apus():
    with Namespace() as namespace, Listener(namespace) as listener:
        with ApusRun("thread", "srtp-mand", "pcmu", namespace=namespace) as bob:
            with ApusRun("thread", "srtp-mand", "pcmu", namespace=namespace, dial=bob.uri) as alice:
                alice.wait_for("the peer is heard")
                alice.command("/hold")
                bob.wait_for("held by the peer")
                time.sleep(0.3)
                begin = time.monotonic()
                time.sleep(0.7)
                quiet = [each for each in listener.datagrams if each.is_rtp and begin <= each.time]
                alice.command("/resume")
                bob.wait_for("resumed by the peer")
                time.sleep(1.2)
    directions = [found[1] for message in listener.sip()
                  if (found := re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", message, re.M))]
    wanted = ["sendrecv", "sendrecv", "sendonly", "recvonly", "sendrecv", "sendrecv"]
    check(directions == wanted, f"directions {directions}")
    sources = {each.source for each in quiet}
    check(len(sources) <= 1, "the held side went on sending")
    flowed(alice)
    flowed(bob)


def in_the_background():
    """Begun with `&` in a shell: the terminal stays the shell's, who types there and sees what he types."""
    folder, port, (terminal, other) = fresh("background"), free_ports(2), pty.openpty()
    apus_folder(folder, port, "main", "none", "pcmu")
    shell = subprocess.Popen(["bash", "--norc", "-i"], stdin=other, stdout=other, stderr=other, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    try:
        os.write(terminal, f"{APUS} run -f {folder} &\n".encode())
        time.sleep(1.5)
        report = apus("call", f"sip:bob@127.0.0.1:{port}", "--codec", "pcmu", "--seconds", 1, "--json").json()
        check(report["ok"], f"{report}")
        said = os.read(terminal, 65536).decode()
        check("is listening" in said and "/help" not in said, f"it takes keys: {said!r}")
    finally:
        os.write(terminal, b"kill %1; wait; exit\n")
        code = shell.wait(10)
        os.close(terminal)
        os.close(other)
    check(code == 0, f"exit {code}")


def keys():
    """No Enter but behind an address."""
    with ApusRun("main", "none", "pcmu") as bob:
        with TypedApus("main", "none", "pcmu") as alice:
            alice.press(f"d{bob.uri}x\x7f\n")
            alice.wait_for("the peer is heard")
            check(f"> d {bob.uri}\r\n" in alice.output(), f"the line is not seen: {alice.output()!r}")
            alice.press("5#")
            bob.wait_for("digit 5")
            bob.wait_for("digit #")
            alice.press("\x1b[A" + "x")
            bob.wait_for("held by the peer")
            alice.press("X")
            bob.wait_for("resumed by the peer")
            alice.press("\x1b")
            bob.wait_for("ended, hangup")
            alice.press("q")
            alice.process.wait(5)
    check(alice.code == 0, f"exit {alice.code}")
    check(alice.after == alice.before, "the terminal is not as it was")
    for how, code in ((signal.SIGINT, 0), (signal.SIGTERM, 0)):
        with TypedApus("main", "none", "pcmu") as alice:
            check(not termios.tcgetattr(alice.other)[3] & termios.ICANON, "the terminal wants Enter")
            alice.process.send_signal(how)
            alice.process.wait(5)
        check(alice.code == code and alice.after == alice.before, f"exit {alice.code}, or the terminal is not as it was")


def bye(who):
    with Baresip("none", "pcmu", 9) as bob, ApusRun("thread", "none", "pcmu", dial=bob.uri) as alice:
        alice.wait_for("the peer is heard")
        time.sleep(1.5)
        if who == "apus":
            alice.command("/hangup")
        else:
            bob.command("hangup")
        alice.wait_for("ended, hangup")
        wait_for(lambda: re.search("terminated|session closed|Connection reset by user", bob.output()), 3, "baresip ended the call")
    flowed(alice)
    check(alice.code == 0, f"exit {alice.code}")


def digits(mediaenc):
    with Baresip(mediaenc, "pcmu", 12) as bob, ApusRun("pool", mediaenc, "pcmu", dial=bob.uri) as alice:
        alice.wait_for("the peer is heard")
        alice.command("/sndcode 159#")
        for digit in "42*":
            bob.command("sndcode", digit)
            time.sleep(0.5)
        alice.wait_for("digit *")
        time.sleep(1)
    heard = re.findall(r"received (?:DTMF )?event: '(.)'.*?\(end=0\)", bob.output()) or re.findall(r"Received DTMF[^\n]*?'?([\d*#])'?", bob.output())
    check("".join(heard) == "159#", f"baresip heard {heard}: {bob.output()[-600:]!r}")
    said = re.findall(r"digit (.)", alice.output())
    check("".join(said) == "42*", f"apus heard {said}")


def over_ipv6(mediaenc):
    with Namespace() as namespace:
        with ApusRun("thread", mediaenc, "opus", namespace=namespace, host="::1") as bob:
            with ApusRun("pool", mediaenc, "opus", namespace=namespace, host="::1", dial=bob.uri) as alice:
                time.sleep(4)
        flowed(alice)
        flowed(bob)
        what(alice, bob)


def what(*each):
    """That all of them heard speech."""
    for one in each:
        kind, figures = what_is_heard(load(one.recording(), 8000))
        check(kind == "speech", f"heard {kind}: {figures}")


def over_ipv6_with_baresip():
    with Namespace() as namespace:
        with Baresip("srtp", "pcmu", 8, host="::1", namespace=namespace) as bob:
            with ApusRun("thread", "srtp", "pcmu", host="::1", namespace=namespace, dial=bob.uri) as alice:
                time.sleep(4)
        # baresip 1.0.0 sends its first and its last RTCP packet in the clear.
        flowed(alice, dropped=2)
        what(alice, bob)


def peer_dies(mediaenc):
    with ApusRun("thread", mediaenc, "pcmu") as bob:
        with ApusRun("thread", mediaenc, "pcmu", dial=bob.uri, extra="rtp_timeout 2\n") as alice:
            alice.wait_for("the peer is heard")
            time.sleep(0.3)
            stop(bob.process, 0, signal.SIGKILL)
            began = time.monotonic()
            alice.wait_for("nothing was heard from", 4)
            took = time.monotonic() - began
            check(1.7 <= took <= 3.2, f"ended after {took:.1f} s, rtp_timeout 2")
    check(alice.code == 0, f"exit {alice.code}")
    return re.search(r"nothing was heard[^;]*", alice.output())[0]


def vanishes(role):
    """The peer answers, and its DTLS stops after its first flight (active) or without a word (passive)."""
    with ForeignPeer(role, ["AES_CM_128_HMAC_SHA1_80"]) as peer:
        peer.receive_media = lambda *_: None
        result = apus("call", peer.uri, "--mediaenc", "dtls_srtp", "--codec", "pcmu", "--seconds", 45, "--json", limit=40)
    report = result.json()
    lines = [line for line in result.err.splitlines() if line.strip()]
    check(peer.error is None, f"our own peer failed: {peer.error}")
    check(not report["ok"] and result.code in (1, 69), f"exit {result.code}, {report}")
    check(len(lines) == 1 and "DTLS" in lines[0], f"standard error {lines}")
    check(result.seconds < 33, f"took {result.seconds:.1f} s")
    check(report["calls"][0]["tx"]["packets"] == 0, "media left without keys")
    return f"exit {result.code} after {result.seconds:.1f} s: {lines[0]}"


def half_deaf():
    """The peer does not hear the first BYE, and the program ends right behind it."""
    with ForeignPeer("passive", ["AES_CM_128_HMAC_SHA1_80"]) as peer:
        heard, receive = [], peer.receive_sip

        def receive_second(data, source):
            if data.startswith(b"BYE"):
                heard.append(time.monotonic())
                if len(heard) == 1:
                    return
            receive(data, source)

        peer.receive_sip = receive_second
        result = apus("call", peer.uri, "--mediaenc", "dtls_srtp", "--codec", "pcmu", "--seconds", 1, "--json", limit=20)
        good(result)
    check(peer.error is None, f"our own peer failed: {peer.error}")
    check(len(heard) == 2 and 0.4 <= heard[1] - heard[0] <= 0.7, f"BYE heard at {heard}: T1 is 0.5 s")
    return f"again after {heard[1] - heard[0]:.2f} s"


def service_classes():
    with Namespace() as namespace, Listener(namespace) as listener:
        with ApusRun("pool", "none", "pcmu", namespace=namespace) as bob:
            with ApusRun("main", "none", "pcmu", namespace=namespace, dial=bob.uri, extra="rtp_tos 40\nsip_tos 96\n") as alice:
                time.sleep(1.5)
    found = {"SIP": {}, "RTP": {}, "RTCP": {}}
    for each in listener.datagrams:
        kind = "RTP" if each.is_rtp else "RTCP" if each.is_rtcp else "SIP"
        owner = "alice" if (each.source == alice.port if kind == "SIP" else each.source in ports(alice)) else "bob"
        found[kind].setdefault(owner, set()).add(each.tos)
    wanted = {"SIP": {"alice": {96}, "bob": {160}}, "RTP": {"alice": {40}, "bob": {184}}, "RTCP": {"alice": {40}, "bob": {184}}}
    check(found == wanted, f"seen {found}")


def ports(each):
    first, last = re.search(r"rtp_ports (\d+)-(\d+)", (each.folder / "config").read_text()).groups()
    return range(int(first), int(last) + 1)


def mux(mediaenc):
    with Namespace() as namespace, Listener(namespace) as listener:
        with Baresip(mediaenc, "pcmu", 12, rtcp_mux="yes", namespace=namespace) as bob:
            call = good(apus("call", bob.uri, "--mediaenc", mediaenc, "--codec", "pcmu", "--rtcp-mux", "yes", "--seconds", 6,
                             "--json", namespace=namespace))
    flows = set(listener.rtp_flows())
    check(len(flows) == 2, f"RTP flows {flows}")
    reports = [each for each in listener.datagrams if each.is_rtcp]
    strays = [(each.source, each.target) for each in reports if (each.source, each.target) not in flows]
    check(len(reports) >= 4 and not strays, f"{len(reports)} RTCP packets, beside RTP's ports: {strays}")
    check(call["rtcp"]["received"] >= 1 and call["rx"]["lost"] == 0, f"{call}")
    if mediaenc != "none":
        check(bob.secured(mediaenc), "baresip does not say that it encrypts")
    return f"{len(reports)} RTCP packets on RTP's ports"


# The shipped folders and the other commands

def echo(name, port, *options):
    with Namespace() as namespace, Listener(namespace) as listener:
        where = fresh(name)
        process = start([APUS, "run", "-f", folder(name)], where / "apus", namespace)
        try:
            time.sleep(0.5)
            call = good(apus("call", f"sip:echo@127.0.0.1:{port}", "--record", where / "heard.wav", "--seconds", 6, "--json", *options,
                             namespace=namespace))
        finally:
            code = stop(process, 5, signal.SIGINT)
    check(code == 0, f"exit {code}")
    kind, figures = what_is_heard(load(where / "heard.wav", 8000))
    check(kind == "speech", f"heard {kind}: {figures}")
    check(call["rx"]["lost"] == 0, f"{call['rx']}")
    answered = {each.target for each in listener.datagrams if each.payload[:2] == b"\x01\x01"}
    check(len(answered) == (2 if "ice" in options else 0), f"checks were answered to {answered}")
    return figures


def demonstration():
    with Namespace() as namespace:
        where = fresh("demo")
        bob = start([APUS, "run", "-f", folder("demo-bob")], where / "bob", namespace)
        time.sleep(0.5)
        alice = start([APUS, "run", "-f", folder("demo-alice"), "-e", "/dial sip:bob@127.0.0.1:5080", "-t", 4], where / "alice", namespace)
        alice.wait(10)
        code = stop(bob, 5, signal.SIGINT)
    check((alice.returncode, code) == (0, 0), f"exit {alice.returncode} and {code}")
    for each in (alice, bob):
        said = text(each, "out")
        found = re.search(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped 0", said)
        check(found and min(map(int, found.groups())) > 150 and "secured by" in said, f"{said!r} {text(each)!r}")


def folders():
    for name in ("default", "demo-alice", "demo-bob", "echo", "webrtc"):
        report = apus("check", "-f", folder(name), "--json").json()
        check(report == {"ok": True, "problems": []}, f"{name}: {report}")


def loaded():
    report = apus("load", "--calls", 20, "--rate", 20, "--seconds", 3, "--json").json()
    all_of = report["summary"]
    check(report["ok"] and all_of["established"] == 20, f"{all_of}")
    check(all_of["failed"] == all_of["lost"] == all_of["dropped"] == 0, f"{all_of}")
    check(len(report["calls"]) == 40, f"{len(report['calls'])} legs are reported")
    return f"{all_of['cpu_ms_per_call_s']:.1f} ms of CPU a call and second"


def load_answers():
    port, where = free_ports(2), fresh("load")
    answering = start([APUS, "load", "--answer", f"sip:load@127.0.0.1:{port}", "--mediaenc", "srtp-mand", "--codec", "pcmu", "--json"],
                      where / "answer", cwd=where)
    time.sleep(0.5)
    report = apus("load", "--to", f"sip:load@127.0.0.1:{port}", "--calls", 10, "--rate", 20, "--seconds", 2, "--mediaenc",
                  "srtp-mand", "--codec", "pcmu", "--json").json()
    code = stop(answering, 5, signal.SIGINT)
    check(report["ok"] and report["summary"]["established"] == 10 and report["summary"]["lost"] == 0, f"{report['summary']}")
    other = json.loads(text(answering, "out"))
    check(code == 0 and other["ok"] and other["summary"]["established"] == 10, f"exit {code}, {other['summary']}")


def modules():
    rows = json.loads(apus("modules", "--json").out)
    names = {row["name"] for row in rows}
    check({"udp", "sip_udp", "opus", "g711", "srtp", "dtls_srtp", "aufile", "ausine", "aubridge", "vumeter"} <= names, f"{names}")
    for row in rows:
        check(set(row) == {"name", "kinds", "absence", "devices", "thread_safety", "plan"}, f"{row}")
        # Without its trait the module is there, brings nothing, and says so.
        check(row["kinds"] or "trait" in row["absence"], f"{row}")
        check(row["thread_safety"] in ("mainOnly", "lockable", "confined", "concurrent"), f"{row}")
        check(set(row["plan"]) == set(MODES), f"{row}")
    # What this build lacks says what it would promise.
    claims = {row["name"]: row["thread_safety"] for row in rows}
    check(claims["dns"] == "concurrent" and claims["alsa"] == "confined", f"{claims}")


def interrupted(code):
    """Ctrl-C in a call: the peer sees BYE, and the call counts as one that went well."""
    with ApusRun("thread", "none", "pcmu") as bob:
        where = fresh("interrupted")
        process = start([APUS, "call", bob.uri, "--codec", "pcmu", "--json"], where / "apus", cwd=where)
        bob.wait_for("the peer is heard")
        time.sleep(1)
        process.send_signal(code)
        process.wait(3)
        bob.wait_for("ended, hangup", 2)
        check(process.returncode == 0, f"exit {process.returncode}: {text(process)!r}")
        report = json.loads(text(process, "out"))
        check(report["ok"] and report["calls"][0]["reason"] == "hangup", f"{report}")


def drained(again):
    """SIGTERM with drain_timeout: a new call gets 503, the one that stands ends by itself; a second signal ends all at once."""
    with ApusRun("thread", "none", "pcmu", extra="drain_timeout 30\n") as bob:
        where = fresh("drained")
        caller = start([APUS, "call", bob.uri, "--codec", "pcmu", "--json", "--seconds", "4"], where / "apus", cwd=where)
        bob.wait_for("the peer is heard")
        bob.process.send_signal(signal.SIGTERM)
        bob.wait_for("no new calls are taken; 1 may go on for 30 s", 2)
        refused = apus("call", bob.uri, "--codec", "pcmu")
        check(refused.code == 69 and "503" in refused.err, f"exit {refused.code}: {refused.err!r}")
        if again:
            # What comes within a tenth of a second is one wish.
            time.sleep(0.2)
            bob.process.send_signal(again)
            check(bob.process.wait(2) == 128 + again, f"exit {bob.process.returncode}")
            return
        check(bob.process.poll() is None, "it ended before its call")
        caller.wait(10)
        report = json.loads(text(caller, "out"))
        check(report["ok"] and report["calls"][0]["duration_s"] > 3.5, f"{report}")
        check(bob.process.wait(3) == 0, f"exit {bob.process.returncode}")


def mixed(mode):
    """Two tones at once, on real threads: one of the call's own at half its volume, one mixed in; then the first alone."""
    def tones(samples):
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        levels = [spectrum[round(hertz * len(samples) / 8000) - 3:][:7].max() for hertz in (500, 1700)]
        return levels[1] / levels[0]

    with ApusRun(mode, "srtp-mand", "pcmu") as bob, \
            ApusRun(mode, "srtp-mand", "pcmu", modules=(*MODULES, "mixausrc"), source="ausine,500") as alice:
        alice.command(f"/dial {bob.uri}")
        alice.wait_for("the peer is heard")
        time.sleep(1)
        alice.command("/mixausrc_enc_start ausine 1700 50 100")
        time.sleep(2.5)
        alice.command("/mixausrc_enc_stop")
        time.sleep(1.5)
        alice.command("/hangup")
        bob.wait_for("ended, hangup")
    heard = load(bob.recording(), 8000)
    ratios = [tones(heard[start:start + 2000]) for start in range(0, len(heard) - 2000, 1000) if heard[start:start + 2000].std() > 0.05]
    loud = [each for each in ratios if 1.8 < each < 2.2]
    check(len(loud) >= 8, f"the second tone is twice as loud as the first {len(loud)} times: {ratios}")
    check(ratios[0] < 0.05 and ratios[-1] < 0.05, f"the second tone is there before or after: {ratios}")
    return f"{len(loud)} eighths of a second"


report = Report()
report.run([
    ("a peer that vanishes in the handshake, passive", vanishes, "passive"),
    ("a peer that vanishes in the handshake, active", vanishes, "active"),
    ("a BYE that is not heard comes again", half_deaf),
    ("hold and resume by sipp", hold_by_sipp),
    ("hold and resume by apus", hold_by_apus),
    ("commands by keys on a terminal", keys),
    ("in the background of a terminal", in_the_background),
    ("OPTIONS by sipp", options),
    ("CANCEL by sipp", cancel),
    ("early media by sipp", early_media),
    ("BYE by apus, towards baresip", bye, "apus"),
    ("BYE by baresip", bye, "baresip"),
    ("digits both ways with baresip, none", digits, "none"),
    ("digits both ways with baresip, dtls_srtp", digits, "dtls_srtp"),
    ("over IPv6, none", over_ipv6, "none"),
    ("over IPv6, dtls_srtp", over_ipv6, "dtls_srtp"),
    ("over IPv6 with baresip", over_ipv6_with_baresip),
    ("rtp_timeout, none", peer_dies, "none"),
    ("rtp_timeout, dtls_srtp", peer_dies, "dtls_srtp"),
    ("type of service", service_classes),
    ("rtcp-mux with baresip, none", mux, "none"),
    ("rtcp-mux with baresip, dtls_srtp", mux, "dtls_srtp"),
    ("Config/echo", echo, "echo", 5090),
    ("Config/webrtc", echo, "webrtc", 5092, "--mediaenc", "dtls_srtp", "--medianat", "ice", "--rtcp-mux", "yes"),
    ("Config/demo-alice and demo-bob", demonstration),
    ("the shipped folders are good", folders),
    ("load", loaded),
    ("load --to and --answer", load_answers),
    *((f"a second source by mixausrc, {mode}", mixed, mode) for mode in MODES),
    ("modules --json", modules),
    ("Ctrl-C", interrupted, signal.SIGINT),
    ("SIGTERM", interrupted, signal.SIGTERM),
    ("SIGTERM drains", drained, None),
    ("SIGTERM twice", drained, signal.SIGTERM),
    ("SIGTERM, then Ctrl-C", drained, signal.SIGINT),
], at_once=5)
report.finish()
