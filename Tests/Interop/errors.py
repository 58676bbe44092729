#!/usr/bin/env python3
"""What goes wrong ends with the promised exit code and exactly one sentence that says why."""
import json, os, re, signal, socket, subprocess, tempfile, time

from lab import APUS, Report, Result, apus, check, fresh, free_ports, start, stop, text, wait_for
from peers import apus_folder


def one_sentence(result, code, *words, within=5.0, output=None):
    lines = [line for line in (result.err if output is None else output).splitlines() if line.strip()]
    if code == 64:  # the usage may follow the sentence
        lines = [line for line in lines if not line.startswith(("Usage:", "  See ", "USAGE:", "Help:"))]
    check(result.code == code, f"exit {result.code}, wanted {code}; standard error {result.err[-300:]!r}")
    check(len(lines) == 1, f"{len(lines)} lines, wanted one sentence: {lines[-4:]}")
    missing = [word for word in words if word not in lines[0]]
    check(not missing, f"{missing} is not in {lines[0]!r}")
    check(result.seconds <= within, f"took {result.seconds:.1f} s, allowed {within}")
    return lines[0]


def missing_sound():
    folder = fresh("missing")
    return one_sentence(apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--play", folder / "none.wav"), 66, "none.wav")


def missing_source_in_folder():
    folder, port = fresh("missing"), free_ports()
    apus_folder(folder, port)
    config = (folder / "config").read_text()
    (folder / "config").write_text(config.replace("audio_source aufile,", "audio_source aufile,/nowhere"))
    return one_sentence(apus("run", "-f", folder, "-t", "3"), 66, "/nowhere")


def taken_port():
    port = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        return one_sentence(apus("run", "-f", apus_folder(fresh("taken"), port), "-t", "3"), 69, str(port))


def unknown(option, value):
    return one_sentence(apus("demo", option, value, "--seconds", "1"), 64, value)


def finding(result, *words):
    """What `check` found is its result, so it is on standard output."""
    check(not result.err.strip(), f"standard error {result.err[-300:]!r}")
    return one_sentence(result, 78, *words, output=result.out)


def no_address():
    return one_sentence(apus("call", "notauri"), 69, "notauri", "sip:notauri@DOMAIN", within=20)


def bad_config(command):
    folder = apus_folder(fresh("bad"), free_ports(), extra="call_max_calls many\n")
    line = (folder / "config").read_text().splitlines().index("call_max_calls many") + 1
    words = "call_max_calls", "many", str(line), "config"
    if command == "check":
        return finding(apus("check", "-f", folder), *words)
    return one_sentence(apus("run", "-f", folder, "-t", "3"), 78, *words)


def misspelt_key():
    folder = apus_folder(fresh("bad"), free_ports(), extra="rtp_rxmod thread\n")
    return finding(apus("check", "-f", folder), "rtp_rxmod", "rtp_rxmode")


def bad_account():
    folder = apus_folder(fresh("bad"), free_ports(), account="<sip:bob@127.0.0.1>;regint=0;mediaenc=rot13")
    return finding(apus("check", "-f", folder), "rot13")


def unknown_interface(command):
    folder = apus_folder(fresh("bad"), free_ports())
    changed = re.sub(r"(?m)^net_interface .*$", "net_interface zz0", (folder / "config").read_text())
    (folder / "config").write_text(changed)
    words = f"config:{changed.splitlines().index('net_interface zz0') + 1}", "net_interface", "zz0", "it takes one of"
    if command == "check":
        return finding(apus("check", "-f", folder), *words)
    return one_sentence(apus("run", "-f", folder, "-t", "3"), 78, *words)


def bad_account_device(command):
    account = "<sip:bob@127.0.0.1>;regint=0;audio_source=ausine,abc"
    folder = apus_folder(fresh("bad"), free_ports(), modules=("opus", "g711", "aufile", "ausine"), account=account)
    words = "accounts:1", "audio_source: ausine", "abc"
    if command == "check":
        return finding(apus("check", "-f", folder), *words)
    return one_sentence(apus("run", "-f", folder, "-t", "3"), 78, *words)


def good_folder():
    result = apus("check", "-f", apus_folder(fresh("good"), free_ports()))
    check(result.code == 0, f"exit {result.code}: {result.err[-300:]!r}")


def nobody_there():
    # A port that is bound and closed again: the kernel refuses by ICMP.
    return one_sentence(apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--seconds", "2"), 69, within=1.0)


def inadmissible(mode, policy):
    modules = ("opus", "g711", "aufile", "vumeter")
    folder = apus_folder(fresh("inadmissible"), free_ports(), mode=mode, modules=modules, extra=f"rtp_rxmode_policy {policy}\n")
    result = apus("run", "-f", folder, "-t", "3")
    return one_sentence(result, 78, "vumeter", "mainOnly", f"rtp_rxmode {mode}", "rtp_rxmode_policy marshal")


def unwritable_recording():
    return one_sentence(
        apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--record", "/nonexistent/heard.wav"), 73, "/nonexistent/heard.wav")


def recording_what_is_played():
    """The played file is as it was: it is refused before anything is opened."""
    played, other = fresh("played") / "a.wav", fresh("linked") / "b.wav"
    played.write_bytes(b"RIFF and so on")
    other.symlink_to(played)
    said = one_sentence(apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--play", played, "--record", other), 64, "b.wav")
    check(played.read_bytes() == b"RIFF and so on", "the played file was written to")
    return said


def bad_certificate(command, key, *modules):
    """A file that is no certificate: `check` finds what `run` ends with."""
    folder = fresh("bad")
    (folder / "bad.pem").write_text("no certificate")
    apus_folder(folder, free_ports(), modules=("opus", "g711", "aufile", *modules), extra=f"{key} {folder}/bad.pem\n")
    if command == "check":
        return finding(apus("check", "-f", folder), key, "bad.pem", "PEM")
    return one_sentence(apus("run", "-f", folder, "-t", "3"), 78, key, "bad.pem", "PEM")


def early_reader():
    """Who reads one line and leaves stops nothing: `apus modules | head -1`."""
    with subprocess.Popen([APUS, "modules"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        program.stdout.close()
        error = program.stderr.read()
        code = program.wait(timeout=30)
    check(code == 0 and not error, f"exit {code}, standard error {error!r}")


def missing_film():
    return one_sentence(apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--play-video", "/nonexistent/film.ivf"), 66,
                        "/nonexistent/film.ivf")


def unwritable_film():
    return one_sentence(apus("call", f"sip:bob@127.0.0.1:{free_ports()}", "--record-video", "/nonexistent/seen.ivf"), 73,
                        "/nonexistent/seen.ivf")


def no_sip_address(uri, *words):
    return one_sentence(apus("call", uri), 64, *words)


def lost_output(command, code=73):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([APUS, *command], stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30)
    return one_sentence(Result(result.returncode, "", result.stderr.decode(), 0), code, "standard output", "no space left")


def full_disk():
    """A file that may not grow: the disk is full in the middle of a recording."""
    command = f"trap '' XFSZ; ulimit -f 30; exec {APUS} demo --seconds 3 --json --codec pcmu"
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                                env={**os.environ, "TMPDIR": folder})
    check(json.loads(result.stdout)["ok"] is False, "ok is true")
    return one_sentence(Result(result.returncode, "", result.stderr.decode(), 0), 73, "2 recordings lack their end")


def lost_findings():
    return lost_output(["check", "-f", apus_folder(fresh("bad"), free_ports(), extra="call_max_calls many\n")], 78)


def foreign_answer():
    """An address of the documentation's (RFC 5737): the sentence names no key of a config, for there is none."""
    said = one_sentence(apus("load", "--answer", "sip:192.0.2.9:5060"), 69, "--answer sip:192.0.2.9:5060", "this machine")
    check("sip_listen" not in said, said)
    return said


def interrupted(is_ringing):
    """The peer says nothing, or rings, and does not take the CANCEL: the program does not wait for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        process = start([APUS, "call", f"sip:bob@127.0.0.1:{peer.getsockname()[1]}"], fresh("interrupted") / "apus")
        invite, caller = peer.recvfrom(65536)
        if is_ringing:
            copied = [line for line in invite.decode().split("\r\n") if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:"))]
            to = next(line for line in invite.decode().split("\r\n") if line.startswith("To:"))
            peer.sendto("\r\n".join(["SIP/2.0 180 Ringing", *copied, f"{to};tag=1", "Content-Length: 0", "", ""]).encode(), caller)
            wait_for(lambda: "ringing" in text(process), 5, "the call rings")
        began = time.monotonic()
        code = stop(process, 20, signal.SIGINT)
        took = time.monotonic() - began
    said = text(process).splitlines()
    check(code == 1 and took < 10, f"exit {code} after {took:.1f} s")
    check(said[-2:] == ["ending the call; Ctrl-C again ends at once", "apus: interrupted before it was answered"], f"{said}")
    return f"{took:.1f} s"


def missing_folder(command):
    folder = fresh("gone") / "none"
    options = ["-t", "3"] if command == "run" else []
    return one_sentence(apus(command, "-f", folder, *options), 66, str(folder))


report = Report()
report.run([
    ("a sound file that is missing", missing_sound),
    ("a sound file that is missing, in a folder", missing_source_in_folder),
    ("a port that is taken", taken_port),
    ("an unknown codec", unknown, "--codec", "g799"),
    ("an unknown mediaenc", unknown, "--mediaenc", "rot13"),
    ("an unknown rxmode", unknown, "--rxmode", "sideways"),
    ("an unknown policy", unknown, "--rxmode-policy", "hope"),
    ("a bad config line, check", bad_config, "check"),
    ("a bad config line, run", bad_config, "run"),
    ("a misspelt key", misspelt_key),
    ("a bad account", bad_account),
    ("a network interface that is not there, check", unknown_interface, "check"),
    ("a network interface that is not there, run", unknown_interface, "run"),
    ("an account's device that is refused, check", bad_account_device, "check"),
    ("an account's device that is refused, run", bad_account_device, "run"),
    ("a good folder", good_folder),
    ("nobody there", nobody_there),
    ("a word that is no address", no_address),
    ("an inadmissible module, thread, reject", inadmissible, "thread", "reject"),
    ("an inadmissible module, pool, lock", inadmissible, "pool", "lock"),
    ("a recording that can't be written", unwritable_recording),
    ("a recording in the file that is played", recording_what_is_played),
    ("a codec of another rate", unknown, "--codec", "pcmu/16000"),
    ("a certificate that is none, check", bad_certificate, "check", "whip_certificate", "whip"),
    ("a certificate that is none, run", bad_certificate, "run", "whip_certificate", "whip"),
    ("SIP's certificate that is none, check", bad_certificate, "check", "sip_certificate", "sip_tls"),
    ("SIP's certificate that is none, run", bad_certificate, "run", "sip_certificate", "sip_tls"),
    ("a reader that has enough", early_reader),
    ("a film that is missing", missing_film),
    ("a film that can't be written", unwritable_film),
    ("a disk that is full in the middle of a recording", full_disk),
    ("a telephone number", no_sip_address, "tel:+123", "SIP URI"),
    ("a transport that nobody knows", no_sip_address, "sip:bob@127.0.0.1;transport=sctp", "transport=sctp", "udp, tcp"),
    ("output that a full disk does not take", lost_output, ["modules"]),
    ("output that a full disk does not take, JSON", lost_output, ["modules", "--json"]),
    ("findings that a full disk does not take", lost_findings),
    ("an address to answer on that is not this machine's", foreign_answer),
    ("a call that is interrupted, nobody answers", interrupted, False),
    ("a call that is interrupted, the peer rings", interrupted, True),
    ("a missing folder, check", missing_folder, "check"),
    ("a missing folder, run", missing_folder, "run"),
])
report.finish()
