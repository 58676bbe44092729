#!/usr/bin/env python3
"""baresip's `ctrl_tcp` is spoken by programs that exist: each sends its own bytes here, and reads answers as strictly as it does.

Their packages are on npm, GitHub and the Go proxy, which a machine of ours may not reach, so what each one writes and what it looks for
is told again here, from its source: go-baresip (negbie), go-baresip (f18m), baresip-mcp, baresip-go (OpenVoIP) and ioBroker.baresip."""
import json, re, socket, time

from kamailio import PASSWORDS, Kamailio, make_certificates
from lab import Report, check
from peers import ControlledApus


class Wire:
    """A connection, and netstrings read as strictly as each wrapper does; `events` and `answers` hold their bytes."""

    def __init__(self, port):
        end = time.monotonic() + 5
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 5)
                break
            except ConnectionRefusedError:
                check(time.monotonic() < end, "the control port does not open")
                time.sleep(0.05)
        self.buffer, self.events, self.answers = b"", [], []

    def send(self, text):
        self.socket.sendall(b"%d:%s," % (len(text.encode()), text.encode()))

    def read(self, seconds):
        self.socket.settimeout(max(0.01, seconds))
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return
        check(data, "Apus closed the connection")
        self.buffer += data
        while b":" in self.buffer:
            length, rest = self.buffer.split(b":", 1)
            check(re.fullmatch(rb"[1-9]\d*", length), f"{length!r} is no length")
            size = int(length)
            if len(rest) <= size:
                return
            check(rest[size:size + 1] == b",", f"no comma: {rest[:80]!r}")
            self.take(rest[:size])
            self.buffer = rest[size + 1:]

    def take(self, message):
        # negbie/go-baresip sorts messages by their bytes, before it reads any JSON.
        if b'"event":true' in message:
            self.events.append(json.loads(message))
        elif b'"response":true' in message:
            self.answers.append(json.loads(message))
        else:
            check(b'"message":true' in message, f"neither an event nor an answer: {message[:120]!r}")

    def answer(self, token=None, seconds=2):
        """The answer of this token; f18m/go-baresip gives up after 100 ms on an idle machine."""
        end = time.monotonic() + seconds
        while True:
            for each in self.answers:
                if token is None or each.get("token") == token:
                    self.answers.remove(each)
                    for key, kind in (("response", bool), ("ok", bool), ("data", str)):
                        check(isinstance(each[key], kind), f"{key} of {each}")
                    return each
            check(time.monotonic() < end, f"no answer within {seconds} s")
            self.read(end - time.monotonic())

    def event(self, kind, seconds=10):
        end = time.monotonic() + seconds
        while True:
            for each in self.events:
                if each["type"] == kind:
                    self.events.remove(each)
                    for key in ("class", "accountaor", "direction", "peeruri", "peerdisplayname", "id", "remoteaudiodir", "param"):
                        check(isinstance(each.get(key, ""), str), f"{key} of {each}")
                    return each
            check(time.monotonic() < end, f"no {kind}: {[each['type'] for each in self.events]}")
            self.read(end - time.monotonic())


# What each wrapper writes: Go's encoding/json of a struct, JavaScript's string concatenation, a token made by each in its way.

def negbie(wire, command, params=""):
    token = f"cmd_{command}"
    fields = {"command": command, **({"params": params} if params else {}), "token": token}
    wire.send(json.dumps(fields, separators=(",", ":")))
    return wire.answer(token)


def f18m(wire, command, params=""):
    token = f"{command}_token"
    fields = {"command": command, **({"params": params} if params else {}), "token": token}
    wire.send(json.dumps(fields, separators=(",", ":")))
    answer = wire.answer(token)
    check(answer["ok"], f"ErrFailedCmd: {answer['data']}")
    return answer


def iobroker(wire, command, params=""):
    """It has no tokens, and always has parameters."""
    wire.send('{"command":"' + command + '","params":"' + params + '"}')
    return wire.answer()


def openvoip(wire, command, params=""):
    wire.send(json.dumps({"command": command, "params": params, "token": ""}, separators=(",", ":")))
    return wire.answer()


# How they take the answers' text apart.

MCP_CALL = re.compile(r"^([>\s])\s*\[line\s+(\d+),\s*id\s+(\S+)\]\s+(\S+)\s+(\S+)\s+(\(on hold\)|\s{9})\s+(\S+)\s*$")
MCP_ACCOUNT = re.compile(r"^(\d+)\s+-\s+(\S+)(?:\s+(FB-)?(OK|ERR|zzz)(?:\s+(\S+))?(?:\s+Expires\s+(\d+)s)?)?\s*$")
OPENVOIP_ACCOUNT = re.compile(r"sip:(\d+)@(\S+)\s+\S+(OK|ERR)")


def dialled(data):
    """negbie's: the Call-ID stands between `call id: ` and the line's end, and not at the very start."""
    start = data.find("call id: ")
    end = data.find("\n", start)
    check(start > 0 and end > start, f"no call id in {data!r}")
    return data[start + 9:end]


def calls(data):
    """baresip-mcp's: calls by account."""
    found, account = {}, None
    for line in data.split("\n"):
        if line.startswith("User-Agent: "):
            account = found.setdefault(line.removeprefix("User-Agent: "), [])
        elif (match := MCP_CALL.match(line)) and account is not None:
            account.append(match.groups())
    return found


def accounts(data):
    """baresip-mcp's: colours are taken out and blanks made one."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", data)
    lines = [" ".join(line.split()) for line in plain.split("\n")]
    return [match.groups() for line in lines if (match := MCP_ACCOUNT.match(line))]


def a_call(talk):
    with ControlledApus() as caller, ControlledApus() as callee:
        alice, bob = Wire(caller.control), Wire(callee.control)
        answer = talk(alice, "dial", callee.uri)
        call = dialled(answer["data"])
        came = bob.event("CALL_INCOMING")
        check((came["class"], came["id"], came["direction"], came["peeruri"]) == ("call", call, "incoming", caller.uri), f"{came}")
        check(alice.event("CALL_RINGING")["id"] == call, "another call rings")
        host = caller.uri.removeprefix("sip:").rsplit(":", 1)[0]
        found = calls(talk(alice, "listcalls")["data"])
        check(list(found) == [host] and len(found[host]) == 1, f"{found}")
        check(found[host][0][2:3] == (call,) and found[host][0][4] in ("OUTGOING", "RINGING"), f"{found}")
        talk(bob, "accept")
        for side in (alice, bob):
            check(side.event("CALL_ESTABLISHED")["id"] == call, "another call is established")
        listed = talk(bob, "listcalls")["data"]
        mark, line, name, duration, state, hold, peer = calls(listed)[host][0]
        check("--- Active calls (1) ---" in listed, listed)
        check((mark, name, state, hold.strip(), peer) == (">", call, "ESTABLISHED", "", caller.uri), listed)
        check(re.fullmatch(r"\d:\d\d:\d\d", duration), duration)
        talk(alice, "hold")
        bob.event("CALL_HOLD")
        check(calls(talk(alice, "listcalls")["data"])[host][0][5] == "(on hold)", "the call is not on hold")
        talk(alice, "resume")
        bob.event("CALL_RESUME")
        talk(alice, "sndcode", "5")
        check(bob.event("CALL_DTMF_START")["param"] == "5", "another digit")
        bob.event("CALL_DTMF_END")
        # Pings: negbie's every second, f18m's every thirty.
        check(talk(alice, "about")["ok"] and talk(alice, "uuid")["ok"], "pings")
        talk(alice, "hangup", "" if talk is iobroker else call)
        for side in (alice, bob):
            check(side.event("CALL_CLOSED")["id"] == call, "another call is closed")
        check(calls(talk(alice, "listcalls")["data"]) == {host: []}, "a call is left")


def registration():
    """One account that its registrar takes, one that it refuses, one that asks nobody."""
    with Kamailio() as registrar:
        port = registrar.ports["udp"]
        with ControlledApus(account=(
                f"<sip:alice@127.0.0.1:{port}>;auth_pass={PASSWORDS['alice']};regint=60\n"
                f"<sip:100@127.0.0.1:{port}>;auth_pass=wrong;regint=60\n"
                f"<sip:carol@127.0.0.1>;regint=0")) as agent:
            wire = Wire(agent.control)
            end = time.monotonic() + 10
            while True:
                data = openvoip(wire, "reginfo")["data"]
                if [each[3] for each in accounts(data)] == ["OK", "ERR", None] or time.monotonic() > end:
                    break
                time.sleep(0.1)
            check("--- User Agents (3) ---" in data, data)
            check([each[3] for each in accounts(data)] == ["OK", "ERR", None], data)
            check(accounts(data)[0][:2] == ("0", f"sip:alice@127.0.0.1:{port}") and int(accounts(data)[0][5]) > 0, data)
            check(OPENVOIP_ACCOUNT.findall(data) == [("100", f"127.0.0.1:{port}", "ERR")], data)
            wire.events.clear()
            negbie(wire, "uareg", f"60 sip:alice@127.0.0.1:{port}")
            told = wire.event("REGISTER_OK")
            check((told["class"], told["accountaor"]) == ("register", f"sip:alice@127.0.0.1:{port}"), f"{told}")
            check(told["param"].startswith("200"), f"{told}")
            negbie(wire, "uareg", f"60 sip:100@127.0.0.1:{port}")
            check(wire.event("REGISTER_FAIL")["param"].startswith("40"), "REGISTER_FAIL says the status")


make_certificates()
report = Report()
report.run([(f"a call by {talk.__name__}", a_call, talk) for talk in (negbie, f18m, iobroker, openvoip)]
           + [("registration", registration)], at_once=2)
report.finish()
