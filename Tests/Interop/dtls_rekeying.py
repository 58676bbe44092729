"""A peer that changes the DTLS association of a running call, each time on another port, and shares no line with Apus: Python,
pyOpenSSL and libsrtp."""
import os
import re
import time

import numpy as np
import pylibsrtp

from foreign import Association, Description, encode_mu_law
from rekeying import EVERY, SHA1_80, RekeyingPeer, header

OPPOSITE = {"active": "passive", "passive": "active"}


class DTLSRekeyingPeer(RekeyingPeer):
    """Each association has a certificate of its own. `names`: it gives each a tls-id (RFC 8842) as well. `roles` are its own,
    in turns."""

    def __init__(self, does, names=True, roles=("active",), profiles=((SHA1_80,),)):
        super().__init__(does)
        self.names, self.roles, self.profiles = names, roles, profiles
        self.associations, self.identifier = [], None
        # Apus's tls-id of each description.
        self.heard = []

    def __exit__(self, *_):
        super().__exit__()
        for each in self.associations:
            each.socket.close()

    def media_sockets(self):
        return [each.socket for each in self.associations]

    # SDP

    def next_association(self):
        """And the role that it is to have."""
        number = len(self.associations)
        association = Association(self.profiles[number % len(self.profiles)])
        self.associations.append(association)
        self.identifier = os.urandom(16).hex()
        return association, self.roles[number % len(self.roles)]

    def description(self, association, setup):
        self.version += 1
        protocol = re.search(r"^m=audio \d+ (\S+)", self.dialog, re.M)[1]
        lines = ["v=0", f"o=- 1 {self.version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
                 f"m=audio {association.port} {protocol} 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv", "a=rtcp-mux",
                 f"a=setup:{setup}", f"a=fingerprint:sha-256 {association.fingerprint}"]
        lines += [f"a=tls-id:{self.identifier}"] if self.names else []
        return "\r\n".join(lines) + "\r\n"

    def note(self, description):
        """Apus names each association, and no two alike (RFC 8842 section 5.2)."""
        assert description.association, "no a=tls-id"
        assert description.association not in self.heard, f"a=tls-id:{description.association} once more"
        self.heard.append(description.association)

    def answer_offer(self, message, source):
        offer = Description(message)
        if self.names:
            self.note(offer)
        if self.remote:
            self.changes += 1
        association, role = self.next_association()
        if offer.setup != "actpass":
            role = OPPOSITE[offer.setup]
        self.remote = offer
        self.send_answer(message, source, self.description(association, role))
        association.start(role, ("127.0.0.1", offer.port), offer.fingerprints)

    def offer(self):
        self.cseq += 1
        self.offered = self.next_association()
        if self.offered[1] == "passive":
            self.offered[0].listen()
        self.request("INVITE", self.description(*self.offered))

    def take_answer(self, message, status, source):
        if status < 200:
            return
        (association, role), self.offered = self.offered or (None, None), None
        self.request("ACK")
        if association is None:
            return
        self.next_offer = time.monotonic() + EVERY
        assert status == 200, f"{status} to a new association"
        answer = Description(message)
        if self.names:
            self.note(answer)
        assert answer.setup == OPPOSITE[role], f"a=setup:{answer.setup} answers a=setup:{role}"
        self.changes += 1
        association.start(role, ("127.0.0.1", answer.port), answer.fingerprints)

    # DTLS and SRTP

    def receive_from(self, media):
        association = next(each for each in self.associations if each.socket is media)
        data, source = media.recvfrom(65536)
        if 20 <= data[0] < 64:
            association.receive(data, source)
            if self.next_offer is None and self.does == "offers":
                self.next_offer = time.monotonic() + 2 * EVERY
            self.profile = None if self.is_quiet else association.profile or self.profile
            return
        is_rtcp = 192 <= data[1] <= 223
        try:
            if is_rtcp:
                association.inbound.unprotect_rtcp(data)
                self.rtcp += 1
            else:
                self.payloads.append(association.inbound.unprotect(data)[12:])
                self.opened.append(self.associations.index(association))
        except pylibsrtp.Error:
            if is_rtcp:
                self.unopened_rtcp += 1
            else:
                self.unopened += 1

    def newest(self):
        """What it sends under: the last association that has keys."""
        return next((each for each in reversed(self.associations) if each.profile), None)

    def send_next(self):
        at = (np.arange(160) + self.sequence * 160) / 8000
        payload = encode_mu_law(0.4 * np.sin(2 * np.pi * 1000 * at))
        association = self.newest()
        association.socket.sendto(association.outbound.protect(header(self.sequence) + payload), association.peer)
        self.sequence += 1
        self.sent += 1
