"""A peer that changes the keys of running SDES streams and shares no line with Apus: it signals in Python, and its media end is
libsrtp, unless a subclass has another."""
import base64
import os
import re
import select
import struct
import time

import numpy as np
import pylibsrtp

from foreign import PROFILES, Description, ForeignPeer, encode_mu_law, session
from lab import check

EVERY = 0.5
FIRST_SEQUENCE = 65_480  # the rollover counter is 1 before the first change of keys
SSRC = 0xF0F0F0F0
SHA1_80, SHA1_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
# Bytes of a packet's tag that are behind its key's identifier (RFC 3711 §3.1, RFC 7714 §8).
TAGS = {SHA1_80: 10, SHA1_32: 4, GCM: 0}


def header(sequence):
    return struct.pack("!BBHII", 128, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, SSRC)


class RekeyingPeer(ForeignPeer):
    """Answers one INVITE with SDES, and changes keys as it is told: `offers` or `answers`, by INVITE or UPDATE, which it then allows.

    `early`: seconds for which it sends under the key of an answer before the answer leaves. `identifies`: each of its keys
    has a lifetime and an identifier, of one byte, two or four, which its packets carry."""

    def __init__(self, does, method="INVITE", suites=(SHA1_80,), keeps_rollover=True, early=0.0, identifies=False):
        super().__init__("active", [SHA1_80])
        self.does, self.method, self.suites = does, method, suites
        self.allow = "INVITE, ACK, BYE" + (", UPDATE" if method == "UPDATE" else "")
        self.methods = set()  # of the offers that it answers within the call
        self.keeps_rollover, self.early = keeps_rollover, early
        self.opened, self.sessions, self.sent, self.changes = [], [], 0, 0
        self.key = self.offered = self.delayed = self.next_offer = self.profile = self.peer = None
        self.identifiers = {} if identifies else None
        self.version, self.cseq = 0, 100
        # The CSeq number of the last offer that came, and what it was answered with.
        self.answered = self.last_answer = None
        self.dialog = None
        self.sequence = FIRST_SEQUENCE

    def run(self):
        try:
            next_packet = None
            while not self.is_ended:
                ready, _, _ = select.select([self.sip, *self.media_sockets()], [], [], 0.004)
                for each in ready:
                    if each is self.sip:
                        self.receive_sip(*each.recvfrom(65536))
                    else:
                        self.receive_from(each)
                now = time.monotonic()
                if self.delayed and now >= self.delayed[0]:
                    _, message, source, body = self.delayed
                    self.delayed = None
                    self.send_answer(message, source, body)
                if self.next_offer and now >= self.next_offer and self.offered is None:
                    self.offer()
                if self.profile and next_packet is None:
                    next_packet = now
                while self.profile and next_packet and next_packet <= time.monotonic():
                    self.send_next()
                    next_packet += 0.02
        except Exception as error:  # the case's thread tells of it
            self.error = error

    # SIP

    def receive_sip(self, data, source):
        message = data.decode()
        start = message.split("\r\n", 1)[0]
        method = start.split(" ", 1)[0]
        if method in ("INVITE", "UPDATE") and "m=audio" in message:
            number = re.search(r"^CSeq\s*:\s*(\d+)", message, re.M | re.I)[1]
            if number == self.answered:  # sent again
                if self.delayed is None:
                    self.reply(*self.last_answer)
                return
            self.answered = number
            if self.dialog is None:
                self.dialog = message
            else:
                self.methods.add(method)
            self.answer_offer(message, source)
        elif start.startswith("SIP/2.0 ") and f"{self.cseq} {self.method}" in message:
            self.take_answer(message, int(start.split(" ")[1]), source)
        elif method == "BYE":
            self.profile = self.next_offer = None
            self.is_quiet = True
            self.reply(message, source, "200 OK")
            self.fall_silent()
        elif method not in ("ACK", "SIP/2.0"):
            self.reply(message, source, "200 OK")

    def answer_offer(self, message, source):
        offer = Description(message)
        suite = self.suites[self.changes % len(self.suites)] if self.does == "answers" else self.suites[0]
        tag, suite, theirs = next(each for each in offer.keys() if each[1] == suite)
        self.remote, self.peer = offer, ("127.0.0.1", offer.port)
        is_first = self.key is None
        if not is_first:
            self.changes += 1
        self.open(suite, theirs)
        ours = self.new_key(suite)
        body = self.description(tag, suite, ours)
        if self.early and not is_first:
            self.delayed = (time.monotonic() + self.early, message, source, body)
        else:
            self.send_answer(message, source, body)
        self.use(suite, ours)
        if is_first and self.does == "offers":
            self.next_offer = time.monotonic() + 2 * EVERY

    def send_answer(self, message, source, body):
        self.last_answer = (message, source, "200 OK", body)
        self.reply(*self.last_answer)

    def offer(self):
        self.cseq += 1
        suite = self.suites[(self.changes + 1) % len(self.suites)]
        self.offered = (suite, self.new_key(suite))
        self.request(self.method, self.description("1", *self.offered))

    def take_answer(self, message, status, source):
        if status < 200:
            return
        offered, self.offered = self.offered, None
        if offered:
            self.next_offer = time.monotonic() + EVERY
            check(status in (200, 491), f"{status} to a new key")
        if offered and status == 200:
            suite, ours = offered
            (tag, answered, theirs), = Description(message).keys()
            check((tag, answered) == ("1", suite), f"answered {tag} {answered} to 1 {suite}")
            self.changes += 1
            self.open(suite, theirs)
            self.use(suite, ours)
        # Last: it sends under its new key when it has this.
        if self.method == "INVITE":
            self.request("ACK")

    def request(self, method, body=""):
        """A request in the dialog that Apus's INVITE made: From and To change places."""
        def field(name, short):
            return re.search(rf"^(?:{name}|{short})\s*:\s*(.*?)\s*$", self.dialog, re.M | re.I)[1]

        target = re.search(r"<(.*?)>", field("Contact", "m"))[1]
        host, port = re.search(r"@?([\d.]+):(\d+)", target).groups()
        branch = f"z9hG4bK{self.cseq}{method}"
        lines = [f"{method} {target} SIP/2.0", f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip.getsockname()[1]};branch={branch};rport",
                 f"From: {field('To', 't')};tag=foreign1", f"To: {field('From', 'f')}", f"Call-ID: {field('Call-ID', 'i')}",
                 f"CSeq: {self.cseq} {method}", f"Contact: <{self.uri}>", "Max-Forwards: 70", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/sdp"] if body else []
        self.sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), (host, int(port)))

    def description(self, tag, suite, key):
        self.version += 1
        lines = ["v=0", f"o=- 1 {self.version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
                 f"m=audio {self.media_port} RTP/SAVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
                 f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}{self.suffix(key)}"]
        lines += ["a=rtcp-mux"] if self.remote.has_mux else []
        return "\r\n".join(lines) + "\r\n"

    def suffix(self, key):
        """A key's lifetime and identifier."""
        if self.identifiers is None:
            return ""
        identifier = self.identifiers[key]
        return f"|2^{24 + len(identifier)}|{int.from_bytes(identifier, 'big')}:{len(identifier)}"

    # SRTP

    def media_sockets(self):
        return [self.media]

    def receive_from(self, media):
        self.receive_media(*media.recvfrom(65536))

    @property
    def media_port(self):
        return self.media.getsockname()[1]

    def open(self, suite, key):
        """What comes may be under this key from now on."""
        self.sessions.insert(0, session(suite, key))

    def fall_silent(self):
        """The call is over."""

    def new_key(self, suite):
        key = os.urandom(sum(PROFILES[suite][2:]))
        if self.identifiers is not None:
            number = len(self.identifiers) + 1
            self.identifiers[key] = number.to_bytes((1, 2, 4)[number % 3], "big")
        return key

    def use(self, suite, key):
        """What leaves from now on is under `key`. Its rollover counter is wound on by packets that nobody hears."""
        self.outbound = session(suite, key, outbound=True)
        if self.key is not None and self.keeps_rollover and self.sequence > 0xFFFF:
            for sequence in (0xC000, 0xFFFF, 0):
                self.outbound.protect(header(sequence) + bytes(160))
        self.key, self.profile = key, suite

    def send_next(self):
        at = (np.arange(160) + self.sequence * 160) / 8000
        payload = encode_mu_law(0.4 * np.sin(2 * np.pi * 1000 * at))
        packet = self.outbound.protect(header(self.sequence) + payload)
        if self.identifiers is not None:
            tag = len(packet) - TAGS[self.profile]
            packet = packet[:tag] + self.identifiers[self.key] + packet[tag:]
        self.media.sendto(packet, self.peer)
        self.sequence += 1
        self.sent += 1

    def receive_media(self, data, source):
        is_rtcp = 192 <= data[1] <= 223
        for index, each in enumerate(self.sessions[:2]):
            try:
                if is_rtcp:
                    each.unprotect_rtcp(data)
                    self.rtcp += 1
                else:
                    self.payloads.append(each.unprotect(data)[12:])
                    self.opened.append(len(self.sessions) - index)
                return
            except pylibsrtp.Error:
                continue
        if is_rtcp:
            self.unopened_rtcp += 1
        else:
            self.unopened += 1
