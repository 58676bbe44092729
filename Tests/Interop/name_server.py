"""A small DNS server on loopback, with a zone of the test's own (RFC 1035, 2782, 3403)."""
import socket
import struct
import threading

A, NAPTR, SRV = 1, 35, 33


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def a(address):
    return A, socket.inet_aton(address)


def srv(priority, weight, port, target):
    return SRV, struct.pack("!HHH", priority, weight, port) + encoded(target)


def naptr(order, preference, service, replacement):
    words = b"".join(bytes([len(word)]) + word for word in (b"s", service.encode(), b""))
    return NAPTR, struct.pack("!HH", order, preference) + words + encoded(replacement)


class NameServer:
    """Answers over UDP from `zone`, records by name, and notes what it was asked. A silent one only notes."""

    def __init__(self, zone, is_silent=False):
        self.zone, self.is_silent, self.questions = zone, is_silent, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, (kind,) = ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)
            self.questions.append((name, kind))
            if self.is_silent:
                continue
            records = [data for each, data in self.zone.get(name, []) if each == kind]
            # NXDOMAIN for a name that has no record at all.
            flags = 0x8580 if name in self.zone else 0x8583
            reply = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12 : at + 5]
            for data in records:
                reply += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
            self.socket.sendto(reply, peer)
