"""A SIP and DTLS-SRTP peer that shares no line with Apus: Python, pyOpenSSL and libsrtp through pylibsrtp."""
import base64
import datetime
import hashlib
import re
import select
import socket
import struct
import time

import numpy as np
import pylibsrtp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from lab import Background, check

# SDES and RFC 5764 names, libsrtp's number, bytes of key and of salt.
PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": ("SRTP_AES128_CM_SHA1_80", pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    "AES_CM_128_HMAC_SHA1_32": ("SRTP_AES128_CM_SHA1_32", pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 16, 14),
    "AEAD_AES_128_GCM": ("SRTP_AEAD_AES_128_GCM", pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "AEAD_AES_256_GCM": ("SRTP_AEAD_AES_256_GCM", pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
}


def session(profile, key, outbound=False):
    """A libsrtp session for one direction, whatever the SSRC."""
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if outbound else pylibsrtp.Policy.SSRC_ANY_INBOUND
    policy = pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[profile][1])
    policy.window_size = 1024
    return pylibsrtp.Session(policy)


class Description:
    """What is needed of an SDP with one audio line."""

    def __init__(self, text):
        self.text = text
        self.port = int(re.search(r"^m=audio (\d+)", text, re.M)[1])
        self.cryptos = re.findall(r"^a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/=]+)(\S*)", text, re.M)
        self.has_mux = "a=rtcp-mux" in text
        found = re.search(r"^a=setup:(\w+)", text, re.M)
        self.setup = found and found[1]
        found = re.search(r"^a=tls-id:(\S+)", text, re.M)
        self.association = found and found[1]
        self.fingerprints = [(name.lower(), digest.upper())
                             for name, digest in re.findall(r"^a=fingerprint:(\S+) (\S+)", text, re.M)]

    def keys(self):
        """The tag, profile and key of each crypto line."""
        return [(tag, suite, base64.b64decode(key + "=" * (-len(key) % 4))) for tag, suite, key, _ in self.cryptos]


def self_signed():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "foreign")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
    return key, certificate


def encode_mu_law(samples):
    """RFC 3551's PCMU, from floats."""
    value = np.clip(samples * 32768, -32635, 32635).astype(np.int32)
    magnitude = np.abs(value) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)
    return (~(code | np.where(value < 0, 128, 0)) & 255).astype(np.uint8).tobytes()


class Association:
    """A media socket with a DTLS association of its own, its certificate, and the SRTP sessions that it keys."""

    def __init__(self, profiles):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        key, certificate = self_signed()
        digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        self.fingerprint = ":".join(digest[at : at + 2] for at in range(0, 64, 2))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(crypto.X509.from_cryptography(certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(key))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(":".join(PROFILES[name][0] for name in profiles).encode())
        self.tls = SSL.Connection(context, None)
        self.tls.set_ciphertext_mtu(1200)
        self.role = self.peer = self.profile = self.inbound = self.outbound = self.digest = self.fingerprints = None

    def listen(self):
        """As the server: a client may be quicker than its description."""
        self.role = "passive"
        self.tls.set_accept_state()

    def start(self, role, peer, fingerprints):
        """As the description says that names the peer's address and certificate; `role` is ours."""
        self.fingerprints = fingerprints
        if role == "passive":
            if self.role is None:
                self.listen()
            self.verify()
            return
        self.role, self.peer = role, peer
        self.tls.set_connect_state()
        self.handshake()

    def receive(self, data, source):
        """A datagram of DTLS."""
        self.peer = source
        self.tls.bio_write(data)
        if self.profile is None:
            self.handshake()

    def handshake(self):
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            self.flush()
            return
        self.flush()
        names = {value[0].encode(): name for name, value in PROFILES.items()}
        profile = names[self.tls.get_selected_srtp_profile()]
        certificate = self.tls.get_peer_certificate().to_cryptography()
        self.digest = ":".join(f"{byte:02X}" for byte in certificate.fingerprint(hashes.SHA256()))
        self.verify()
        _, _, key, salt = PROFILES[profile]
        material = self.tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        ours, theirs = (client, server) if self.role == "active" else (server, client)
        self.inbound, self.outbound = session(profile, theirs), session(profile, ours, outbound=True)
        self.profile = profile

    def verify(self):
        """Once both are there."""
        if self.digest and self.fingerprints:
            check(("sha-256", self.digest) in self.fingerprints, "the certificate is not the one in the SDP")

    def flush(self):
        try:
            self.socket.sendto(self.tls.bio_read(65536), self.peer)
        except SSL.WantReadError:
            pass


class ForeignPeer(Background):
    """Answers one INVITE over UDP, keys by DTLS in the role it is told to take, sends a 1 kHz tone as PCMU over SRTP, and
    keeps what it could open."""

    def __init__(self, role, profiles):
        self.role = role
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind(("127.0.0.1", 0))
        self.association = Association(profiles)
        self.media = self.association.socket
        self.uri = f"sip:foreign@127.0.0.1:{self.sip.getsockname()[1]}"
        self.remote = self.error = None
        self.is_quiet = False
        self.payloads, self.rtcp = [], 0
        self.unopened = self.unopened_rtcp = self.plain = 0
        super().__init__()

    def __exit__(self, *_):
        super().__exit__()
        self.sip.close()
        self.media.close()

    def run(self):
        try:
            next_packet, sequence = None, 1000
            while not self.is_ended:
                ready, _, _ = select.select([self.sip, self.media], [], [], 0.005)
                if self.sip in ready:
                    self.receive_sip(*self.sip.recvfrom(65536))
                if self.media in ready:
                    self.receive_media(*self.media.recvfrom(65536))
                if self.association.profile and next_packet is None:
                    next_packet = time.monotonic()
                while next_packet and next_packet <= time.monotonic():
                    self.send_tone(sequence)
                    sequence += 1
                    next_packet += 0.02
        except Exception as error:
            self.error = error

    # SIP

    def receive_sip(self, data, source):
        message = data.decode()
        method = message.split(" ", 1)[0]
        if method == "INVITE" and self.remote is None:
            self.remote = Description(message)
            self.reply(message, source, "200 OK", self.answer())
            self.association.start(self.role, ("127.0.0.1", self.remote.port), self.remote.fingerprints)
        elif method == "BYE":
            self.reply(message, source, "200 OK")
            self.is_quiet = True
        elif method not in ("ACK", "INVITE", "SIP/2.0"):
            self.reply(message, source, "200 OK")

    # The methods that its responses name in Allow; none where it is empty.
    allow = ""

    def reply(self, request, source, status, body=""):
        def headers(name, short):
            return re.findall(rf"^(?:{name}|{short})\s*:.*?$", request, re.M | re.I)

        lines = [f"SIP/2.0 {status}", *headers("Via", "v"), *headers("From", "f")]
        to = headers("To", "t")[0].rstrip()
        lines += [to if "tag=" in to else f"{to};tag=foreign1", *headers("Call-ID", "i"), *headers("CSeq", "CSeq")]
        lines += [f"Contact: <{self.uri}>", f"Content-Length: {len(body)}"]
        lines += [f"Allow: {self.allow}"] if self.allow else []
        lines += ["Content-Type: application/sdp"] if body else []
        self.sip.sendto(("\r\n".join(line.rstrip() for line in lines) + "\r\n\r\n" + body).encode(), source)

    def answer(self):
        protocol = re.search(r"^m=audio \d+ (\S+)", self.remote.text, re.M)[1]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
                 f"m=audio {self.media.getsockname()[1]} {protocol} 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
                 f"a=setup:{self.role}", f"a=fingerprint:sha-256 {self.association.fingerprint}"]
        lines += ["a=rtcp-mux"] if self.remote.has_mux else []
        return "\r\n".join(lines) + "\r\n"

    # DTLS and SRTP

    def receive_media(self, data, source):
        if 20 <= data[0] < 64:
            self.association.receive(data, source)
            return
        if self.association.profile is None:
            self.plain += 1  # nothing may come before there are keys
            return
        try:
            if 192 <= data[1] <= 223:
                self.association.inbound.unprotect_rtcp(data)
                self.rtcp += 1
            else:
                self.payloads.append(self.association.inbound.unprotect(data)[12:])
        except pylibsrtp.Error:
            if 192 <= data[1] <= 223:
                self.unopened_rtcp += 1
            else:
                self.unopened += 1

    def send_tone(self, sequence):
        if self.is_quiet:
            return
        at = (np.arange(160) + sequence * 160) / 8000
        payload = encode_mu_law(0.4 * np.sin(2 * np.pi * 1000 * at))
        header = struct.pack("!BBHII", 128, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 0xF0F0F0F0)
        self.media.sendto(self.association.outbound.protect(header + payload), self.association.peer)
