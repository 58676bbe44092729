#!/usr/bin/env python3
"""A WebRTC peer whose media is aiortc's (its own ICE, and OpenSSL and libsrtp of its own), and whose signalling is a little SIP
over UDP: makes or takes one call, sends a tone, records what it hears, and prints what it saw as JSON.

aiortc_peer.py '{"port": …, "dial": "sip:…"|null, "tone": Hz, "setup": null|"active"|"passive", "profile": null|NAME, "seconds": …,
"holds": bool, "ends": "bye"|"close"|null, "host": …, "record": FILE}'

`setup` is the DTLS role that Apus is left with: aiortc's offer then says the other one instead of actpass, and aiortc is shown an
offer that says it. `profile` leaves aiortc's list of use_srtp profiles with that one. `holds`: it holds the call for a second, and
resumes it. `ends`: after `seconds` it hangs up, by BYE and then closing its connection, or the other way round; null waits for
the other's BYE."""
import asyncio
import fractions
import json
import re
import sys
import time

import numpy as np
import soundfile
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcdtlstransport
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

RATE = 48000


class Tone(AudioStreamTrack):
    """A sine of half the greatest level, 20 ms at a time."""

    def __init__(self, frequency):
        super().__init__()
        self.frequency, self.count, self.start = frequency, 0, None

    async def recv(self):
        if self.readyState != "live":
            raise MediaStreamError
        if self.start is None:
            self.start = time.monotonic()
        await asyncio.sleep(self.start + self.count / RATE - time.monotonic())
        at = (np.arange(960) + self.count) / RATE
        samples = (16384 * np.sin(2 * np.pi * self.frequency * at)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.repeat(2)[None, :], "s16", "stereo")  # of mono it would take 3 dB for opus
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.count, fractions.Fraction(1, RATE)
        self.count += 960
        return frame


class SIP(asyncio.DatagramProtocol):
    """One call, over UDP. Nothing is sent again but answers to what comes again: the network between is a loopback."""

    def __init__(self, uri):
        self.uri, self.tag, self.answers, self.number = uri, f"a{time.monotonic_ns()}", {}, 0
        self.remote = None
        self.arrived = asyncio.Queue()  # INVITEs, final answers to ours, BYE
        self.surprises = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        message = data.decode()
        title = message.split("\r\n", 1)[0]
        method = title.split(" ", 1)[0]
        cseq = field(message, "CSeq")
        if method == "SIP/2.0":
            if title.split(" ")[1] >= "200":
                self.arrived.put_nowait((title, message))
        elif cseq in self.answers:
            self.transport.sendto(self.answers[cseq], source)
        elif method == "INVITE":
            self.remote = source
            self.reply(message, "100 Trying")
            self.arrived.put_nowait(("INVITE", message))
        elif method == "BYE":
            self.remote = source
            self.reply(message, "200 OK")
            self.arrived.put_nowait(("BYE", message))
        elif method != "ACK":
            self.surprises.append(title)
            self.reply(message, "200 OK")

    def reply(self, request, status, body=""):
        to = field(request, "To", "t")
        lines = [f"SIP/2.0 {status}", *(f"Via: {each}" for each in fields(request, "Via", "v")), f"From: {field(request, 'From', 'f')}",
                 f"To: {to}" if "tag=" in to or status.startswith("100") else f"To: {to};tag={self.tag}",
                 f"Call-ID: {field(request, 'Call-ID', 'i')}", f"CSeq: {field(request, 'CSeq')}", f"Contact: <{self.uri}>"]
        self.send(lines, body, self.remote)
        self.answers[field(request, "CSeq")] = self.last

    def request(self, method, body=""):
        target, own, other, call = self.dialog
        host, port = re.search(r"@?([\d.]+):(\d+)", target).groups()
        self.number += method != "ACK"
        lines = [f"{method} {target} SIP/2.0",
                 f"Via: SIP/2.0/UDP {re.search('@(.*)', self.uri)[1]};branch=z9hG4bK{self.number}{method}{self.tag};rport",
                 f"From: {own}", f"To: {other}", f"Call-ID: {call}", f"CSeq: {self.number} {method}",
                 f"Contact: <{self.uri}>", "Max-Forwards: 70"]
        self.send(lines, body, (host, int(port)))

    def send(self, lines, body, target):
        lines = lines + (["Content-Type: application/sdp"] if body else []) + [f"Content-Length: {len(body.encode())}"]
        self.last = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        self.transport.sendto(self.last, target)

    async def next(self, title, patience=10):
        """The next message, which has to have this title."""
        what, message = await asyncio.wait_for(self.arrived.get(), patience)
        if not what.startswith(title):
            raise RuntimeError(f"{what}, not {title}")
        return message

    # The call

    async def dial(self, target, offer):
        self.dialog = target, f"<{self.uri}>;tag={self.tag}", f"<{target}>", self.tag
        return await self.offer(offer)

    async def offer(self, offer):
        """Offers in the dialog, or to make one, and returns the answer."""
        self.request("INVITE", offer)
        answer = await self.next("SIP/2.0 200")
        self.dialog = re.search(r"<(.*?)>", field(answer, "Contact", "m"))[1], self.dialog[1], field(answer, "To", "t"), self.dialog[3]
        self.request("ACK")
        return body(answer)

    async def taken(self):
        """Waits for an INVITE."""
        message = await self.next("INVITE", 20)
        self.dialog = (re.search(r"<(.*?)>", field(message, "Contact", "m"))[1], f"{field(message, 'To', 't')};tag={self.tag}",
                       field(message, "From", "f"), field(message, "Call-ID", "i"))
        return message

    async def hang_up(self):
        self.request("BYE")
        await self.next("SIP/2.0 200")


def body(message):
    return message.split("\r\n\r\n", 1)[1]


def fields(message, name, short="-"):
    return [each.strip() for each in re.findall(rf"^(?:{name}|{short})[ \t]*:(.*?)\r?$", message.split("\r\n\r\n", 1)[0], re.M | re.I)]


def field(message, name, short="-"):
    return fields(message, name, short)[0]


def say(sdp, role):
    """The description with this `a=setup`."""
    return re.sub(r"a=setup:\w+", f"a=setup:{role}", sdp) if role else sdp


async def record(track, pieces):
    try:
        while True:
            frame = await track.recv()
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.float64).mean(1) / 32768
            pieces.append((frame.sample_rate, samples))
    except MediaStreamError:
        pass


class Call:
    """aiortc's end of the call."""

    def __init__(self, wanted):
        self.wanted, self.pieces, self.recorders, self.connected = wanted, [], [], asyncio.Event()
        self.reoffers = []
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.sender = self.connection.addTrack(Tone(wanted["tone"]))
        self.connection.on("track", lambda track: self.recorders.append(asyncio.ensure_future(record(track, self.pieces))))
        self.connection.on("connectionstatechange",
                           lambda: self.connection.connectionState == "connected" and self.connected.set())

    async def offer(self, setup=None):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return say(self.connection.localDescription.sdp, {"active": "passive", "passive": "active", None: None}[setup])

    async def take(self, answer):
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer(self, offer, setup=None):
        await self.connection.setRemoteDescription(RTCSessionDescription(say(offer, setup), "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def set_up(self, sip):
        if self.wanted["dial"]:
            offer, start = await self.offer(self.wanted["setup"]), time.monotonic()
            answer = await sip.dial(self.wanted["dial"], offer)
            await self.take(answer)
        else:
            message = await sip.taken()
            offer, start = body(message), time.monotonic()
            answer = await self.answer(offer, self.wanted["setup"])
            sip.reply(message, "200 OK", answer)
        await asyncio.wait_for(self.connected.wait(), 15)
        transport = self.sender.transport
        return {"connected": time.monotonic() - start, "offer": offer, "answer": answer, "role": transport._role,
                "profile": transport._ssl.get_selected_srtp_profile().decode(), "ice": transport.transport.role}

    async def hold(self, sip):
        """Wants to hear nothing for a second."""
        for direction in ("sendonly", "sendrecv"):
            await asyncio.sleep(1)
            self.connection.getTransceivers()[0].direction = direction
            await self.take(await sip.offer(await self.offer()))

    async def go_on(self, sip, seconds=None):
        """Answers what is offered, for so long or until the other's BYE."""
        end = time.monotonic() + (seconds or 25)
        while True:
            try:
                what, message = await asyncio.wait_for(sip.arrived.get(), end - time.monotonic())
            except asyncio.TimeoutError:
                if seconds:
                    return
                raise
            if what == "BYE" and not seconds:
                return
            if what != "INVITE":
                raise RuntimeError(what)
            self.reoffers.append(body(message))
            sip.reply(message, "200 OK", await self.answer(self.reoffers[-1]))

    async def statistics(self):
        reports = (await self.connection.getStats()).values()
        return {each.type: {name: value for name, value in vars(each).items() if isinstance(value, int)} for each in reports}


async def main(wanted):
    if wanted["profile"]:
        every = rtcdtlstransport.SRTP_PROFILES  # in its place: each transport refers to this list
        every[:] = [each for each in every if each.openssl_profile.decode() == wanted["profile"]]
    uri, address = f"sip:aiortc@{wanted['host']}:{wanted['port']}", (wanted["host"], wanted["port"])
    call = Call(wanted)
    _, sip = await asyncio.get_running_loop().create_datagram_endpoint(lambda: SIP(uri), local_addr=address)
    seen = await call.set_up(sip)
    print("the call is up", file=sys.stderr, flush=True)
    if wanted["holds"]:
        await call.hold(sip)
    await call.go_on(sip, wanted["seconds"] if wanted["ends"] else None)
    seen["stats"] = await call.statistics()
    if wanted["ends"] == "bye":
        await sip.hang_up()
    await call.connection.close()
    if wanted["ends"] == "close":
        await asyncio.sleep(0.3)
        await sip.hang_up()
    await asyncio.gather(*call.recorders)
    soundfile.write(wanted["record"], np.concatenate([samples for _, samples in call.pieces]), call.pieces[0][0])
    print(json.dumps(seen | {"surprises": sip.surprises, "reoffers": call.reoffers}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
