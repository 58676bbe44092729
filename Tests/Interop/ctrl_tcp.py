#!/usr/bin/env python3
"""Programs that control Apus: baresip's JSON in netstrings, spoken by a client written as baresip's wrappers are.

Two `apus run`, each controlled over its own port: one dials, the other accepts, digits cross, both hold and hang up, and
what was asked is what the events tell. Then a client that is broken, one that is greedy, and the end by command.
"""
import json, socket, time

from lab import Failure, Report, check, free_ports
from peers import MODULES, ApusRun, ControlledApus


class Client:
    """What a wrapper does: sends commands, reads netstrings, keeps answers and events apart."""

    def __init__(self, port):
        # The modules come after SIP's own port.
        end = time.monotonic() + 5
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
                break
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.buffer, self.events, self.answers, self.serial = b"", [], {}, 0

    def read(self, timeout):
        self.socket.settimeout(max(0.05, timeout))
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by Apus")
        self.buffer += data
        while b":" in self.buffer:
            length, rest = self.buffer.split(b":", 1)
            size = int(length)
            if len(rest) <= size:
                return
            check(rest[size:size + 1] == b",", f"no comma after {size} bytes: {rest[:100]!r}")
            message, self.buffer = json.loads(rest[:size]), rest[size + 1:]
            if message.get("response"):
                self.answers[message.get("token")] = message
            else:
                self.events.append(message)

    def command(self, name, params=None, ok=True):
        self.serial += 1
        token = f"t{self.serial}"
        request = {"command": name, "token": token, **({} if params is None else {"params": params})}
        text = json.dumps(request).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))
        end = time.monotonic() + 10
        while token not in self.answers:
            check(time.monotonic() < end, f"no answer to {name}")
            self.read(end - time.monotonic())
        answer = self.answers.pop(token)
        check(answer["ok"] == ok and set(answer) == {"response", "ok", "data", "token"}, f"{name}: {answer}")
        return answer["data"]

    def wait(self, kind, seconds=15, **fields):
        """The first event of this type, whose fields are these; it is taken out of the list."""
        end = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event.get("type") == kind:
                    self.events.remove(event)
                    wrong = {key: event.get(key) for key, value in fields.items() if event.get(key) != value}
                    check(event["event"] is True and not wrong, f"{kind}: {wrong} in {event}")
                    return event
            check(time.monotonic() < end, f"no {kind} within {seconds} s: {[e.get('type') for e in self.events]}")
            try:
                self.read(end - time.monotonic())
            except TimeoutError:
                pass


class Controlled(ControlledApus):
    def client(self):
        return Client(self.control)


def a_call():
    with Controlled() as caller, Controlled() as callee:
        alice, bob = caller.client(), callee.client()
        data = alice.command("dial", callee.uri)
        out = alice.wait("CALL_OUTGOING", peeruri=callee.uri, direction="outgoing", accountaor=caller.uri)
        check(out["class"] == "call" and out["id"] in data, f"{out} {data!r}")
        came = bob.wait(
            "CALL_INCOMING", peeruri=caller.uri, param=caller.uri, direction="incoming", accountaor=callee.uri,
            remoteaudiodir="sendrecv")
        check(came["id"] == out["id"], f"the call is {out['id']} here and {came['id']} there")
        alice.wait("CALL_RINGING", id=out["id"])
        check(out["id"] in bob.command("callfind", came["id"]), "callfind")
        bob.command("accept")
        bob.wait("CALL_ANSWERED", id=came["id"])
        for side in (alice, bob):
            side.wait("CALL_ESTABLISHED", id=out["id"], audiodir="sendrecv")
            side.wait("CALL_RTPESTAB", id=out["id"])
        alice.command("sndcode", "5")
        bob.wait("CALL_DTMF_START", param="5")
        bob.wait("CALL_DTMF_END")
        alice.command("hold")
        bob.wait("CALL_HOLD", id=came["id"])
        alice.command("resume")
        bob.wait("CALL_RESUME", id=came["id"])
        check("ESTABLISHED" in alice.command("listcalls"), "listcalls")
        bob.command("hangup")
        for side, who in ((alice, "peer"), (bob, "user")):
            side.wait("CALL_CLOSED", id=out["id"], param=f"Connection reset by {who}")
        alice.command("hangup", ok=False)
        alice.command("nonsense", ok=False)
        alice.command("dial", "sip:", ok=False)
        seen = [event["type"] for side in (alice, bob) for event in side.events]
    return f"{len(seen)} more events"


def refused():
    with Controlled() as caller, Controlled() as callee:
        alice, bob = caller.client(), callee.client()
        bob.command("dnd", "on")
        alice.command("dial", callee.uri)
        closed = alice.wait("CALL_CLOSED")
        check(closed["param"].startswith("480"), f"{closed}")


def broken_clients():
    with Controlled() as agent:
        for bad in (b"hello", b"3:abc,", b"99999999:", b"5:{\"a\":,", b"GET / HTTP/1.1\r\n\r\n"):
            client = agent.client()
            client.socket.sendall(bad)
            try:
                while True:
                    client.read(5)
            except ConnectionError:
                pass
            answers = [answer["ok"] for answer in client.answers.values()]
            check(answers == [False], f"{bad!r}: {client.answers}")
        greedy = agent.client()
        for _ in range(20_000):  # answers that nobody reads
            try:
                greedy.socket.sendall(b'18:{"command":"help"},')
            except OSError:
                break
        check("ua" in agent.client().command("help"), "another client is served")


def quits():
    with Controlled() as agent:
        client = agent.client()
        client.command("quit")
        client.wait("SHUTDOWN")
        try:
            agent.process.wait(10)
        except Exception:
            raise Failure("quit did not end the program")
        check(agent.process.returncode == 0, f"exit {agent.process.returncode}")


def other_addresses_are_warned_of():
    control = free_ports()
    run = ApusRun("main", "none", "pcmu", modules=(*MODULES, "ctrl_tcp"), extra=f"ctrl_tcp_listen 0.0.0.0:{control}\n")
    with run as agent:
        agent.wait_for("whoever reaches it has control", 5)
        Client(control).command("about")
    with Controlled() as quiet:
        check("whoever reaches" not in quiet.output(), "a port on loopback is warned of")


report = Report()
report.run(
    [("a call by commands", a_call), ("a refusal", refused), ("broken clients", broken_clients), ("quit", quits),
     ("other addresses are warned of", other_addresses_are_warned_of)], at_once=2)
report.finish()
