#!/usr/bin/python3
"""The media end of a peer, of GStreamer's own elements: srtpenc sends a 1 kHz tone as PCMU, srtpdec opens what comes. Told what to
do by lines of JSON on its standard input, and run by the system's Python, which has GStreamer's bindings.

  {"do": "open", "suite": ..., "key": hex}            opens what comes under this key too, from now on
  {"do": "send", "suite": ..., "key": hex, "to": port} sends under this key from now on; the first time it begins to send
  {"do": "end"}                                        stops, and prints what it counted

One srtpdec knows one key of a source, so each key has its own: every datagram goes to all of them, and one of them opens it. Each
has a socket to get its own copy from: srtpdec 1.22 gives back what it can't open once too often if anything else holds it, as a tee
does."""
import json
import os
import select
import socket
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gio, Gst  # noqa: E402

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": ("aes-128-icm", "hmac-sha1-80", "hmac-sha1-80"),
    "AES_CM_128_HMAC_SHA1_32": ("aes-128-icm", "hmac-sha1-32", "hmac-sha1-80"),
    "AEAD_AES_128_GCM": ("aes-128-gcm", "null", "null"),
}
FIRST_SEQUENCE = 65_400  # wraps within the test


def bind():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    return one


def as_gio(one):
    return Gio.Socket.new_from_fd(os.dup(one.fileno()))


class MediaEnd:
    def __init__(self):
        self.socket = bind()
        self.port = self.socket.getsockname()[1]
        self.pipeline = Gst.Pipeline()
        self.doors, self.keys, self.payloads = [], [], []
        self.received = self.received_rtcp = self.opened_rtcp = self.sent = 0
        self.encoder = None
        self.pipeline.set_state(Gst.State.PLAYING)
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            # GLib has made it one that does not block.
            select.select([self.socket], [], [])
            data = self.socket.recv(65536)
            if 192 <= data[1] <= 223:
                self.received_rtcp += 1
            else:
                self.received += 1
            for door in list(self.doors):
                self.socket.sendto(data, door.getsockname())

    def add(self, kind, **properties):
        element = Gst.ElementFactory.make(kind)
        for name, value in properties.items():
            element.set_property(name.replace("_", "-"), value)
        self.pipeline.add(element)
        return element

    def open(self, suite, key):
        cipher, tag, control = SUITES[suite]
        caps = Gst.Caps.from_string(
            f"application/x-srtp, srtp-key=(buffer){key}, srtp-cipher=(string){cipher}, srtp-auth=(string){tag}, "
            f"srtcp-cipher=(string){cipher}, srtcp-auth=(string){control}")
        number = len(self.keys)
        self.keys.append(0)
        door = bind()
        source = self.add("udpsrc", socket=as_gio(door), close_socket=False, caps=caps)
        decoder = self.add("srtpdec")
        decoder.connect("request-key", lambda *_: caps)
        for name, probe in (("rtp_src", self.opened), ("rtcp_src", self.opened_control)):
            sink = self.add("fakesink", sync=False, **{"async": False})
            pad = decoder.get_static_pad(name)
            pad.add_probe(Gst.PadProbeType.BUFFER, probe, number)
            pad.link(sink.get_static_pad("sink"))
            sink.sync_state_with_parent()
        source.get_static_pad("src").link(decoder.get_static_pad("rtp_sink"))
        decoder.sync_state_with_parent()
        source.sync_state_with_parent()
        self.doors.append(door)

    def opened(self, _, info, number):
        self.keys[number] += 1
        buffer = info.get_buffer()
        self.payloads.append(buffer.extract_dup(12, buffer.get_size() - 12))
        return Gst.PadProbeReturn.OK

    def opened_control(self, *_):
        self.opened_rtcp += 1
        return Gst.PadProbeReturn.OK

    def send(self, suite, key, to):
        cipher, tag, control = SUITES[suite]
        if self.encoder is None:
            self.begin(to)
        for name, value in (("rtp-cipher", cipher), ("rtcp-cipher", cipher), ("rtp-auth", tag), ("rtcp-auth", control)):
            Gst.util_set_object_arg(self.encoder, name, value)
        buffer = Gst.Buffer.new_allocate(None, len(key) // 2, None)
        buffer.fill(0, bytes.fromhex(key))
        self.encoder.set_property("key", buffer)
        if self.sent == 0:
            for element in self.sending:
                element.sync_state_with_parent()

    def begin(self, to):
        tone = self.add("audiotestsrc", is_live=True, freq=1000.0, volume=0.4, samplesperbuffer=160)
        form = self.add("capsfilter", caps=Gst.Caps.from_string("audio/x-raw,rate=8000,channels=1"))
        coder = self.add("mulawenc")
        packets = self.add("rtppcmupay", seqnum_offset=FIRST_SEQUENCE, min_ptime=20_000_000, max_ptime=20_000_000)
        self.encoder = self.add("srtpenc")
        out = self.add("udpsink", socket=as_gio(self.socket), close_socket=False, host="127.0.0.1", port=to, sync=False,
                       **{"async": False})
        for one, other in ((tone, form), (form, coder), (coder, packets)):
            one.link(other)
        packets.get_static_pad("src").link(self.encoder.request_pad_simple("rtp_sink_0"))
        protected = self.encoder.get_static_pad("rtp_src_0")
        protected.add_probe(Gst.PadProbeType.BUFFER, self.left)
        protected.link(out.get_static_pad("sink"))
        self.sending = [out, self.encoder, packets, coder, form, tone]

    def left(self, *_):
        self.sent += 1
        return Gst.PadProbeReturn.OK

    def pause(self):
        """Sends no more."""
        for element in reversed(self.sending):
            element.set_locked_state(True)
            element.set_state(Gst.State.NULL)

    def end(self):
        error = self.pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        self.pipeline.set_state(Gst.State.NULL)
        return {"sent": self.sent, "received": self.received, "received_rtcp": self.received_rtcp, "opened": self.keys,
                "opened_rtcp": self.opened_rtcp, "payloads": b"".join(self.payloads).hex(),
                "error": error and str(error.parse_error())}


def main():
    Gst.init(None)
    media = MediaEnd()
    print(json.dumps({"port": media.port}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        match command.pop("do"):
            case "open":
                media.open(**command)
            case "send":
                media.send(**command)
            case "pause":
                media.pause()
            case "end":
                print(json.dumps(media.end()), flush=True)
                return
        print("{}", flush=True)


main()
