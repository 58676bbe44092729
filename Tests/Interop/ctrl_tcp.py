#!/usr/bin/env python3
"""Programs that control Apus: baresip's JSON in netstrings, spoken by a client written as baresip's wrappers are.

Two `apus run` on this machine, each controlled over its own port: register nothing, dial, answer, digits, hold, hang up;
every answer has its token, every event its fields; then what a broken client sends.
"""

import json
import socket
import time

from lab import APUS, NetworkNamespace, check, fresh, free_ports, main, start, stop


class Client:
    """What a wrapper does: send commands, read netstrings, keep events and answers apart."""

    def __init__(self, port):
        for _ in range(100):
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        self.buffer, self.events, self.answers, self.serial = b"", [], {}, 0

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data
        while b":" in self.buffer:
            length, rest = self.buffer.split(b":", 1)
            size = int(length)
            if len(rest) < size + 1:
                return
            assert rest[size : size + 1] == b",", rest[:100]
            message, self.buffer = json.loads(rest[:size]), rest[size + 1 :]
            if message.get("response"):
                self.answers[message.get("token")] = message
            else:
                self.events.append(message)

    def command(self, name, params=None):
        self.serial += 1
        token = f"t{self.serial}"
        request = {"command": name, "token": token}
        if params is not None:
            request["params"] = params
        text = json.dumps(request).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))
        while token not in self.answers:
            self.read()
        return self.answers[token]

    def wait(self, kind, timeout=15):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for event in self.events:
                if event.get("type") == kind:
                    self.events.remove(event)
                    return event
            self.socket.settimeout(max(0.1, until - time.monotonic()))
            try:
                self.read()
            except TimeoutError:
                break
        raise AssertionError(f"no {kind}: {[e.get('type') for e in self.events]}")
