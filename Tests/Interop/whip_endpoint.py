#!/usr/bin/env python3
"""An endpoint of WHIP and WHEP whose media is aiortc's: takes one session by POST, sends a tone in it, records what it hears, and when
DELETE has come prints what it saw as JSON. `/moved/…` redirects to the endpoint of that name.

whip_endpoint.py '{"host": …, "port": …, "token": …, "tone": Hz, "record": FILE}'"""
import asyncio
import json
import sys

import numpy as np
import soundfile
from aiortc_peer import Call


class Endpoint:
    def __init__(self, wanted):
        self.wanted, self.call, self.ended = wanted, None, asyncio.Event()
        self.seen = {"requests": []}

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split("\r\n", 1)[0].split(" ")
        fields = {name.strip().lower(): value.strip() for name, value in
                  (line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line)}
        body = (await reader.readexactly(int(fields.get("content-length", 0)))).decode()
        self.seen["requests"].append(f"{method} {path}")
        status, more, answer = await self.answer(method, path, fields, body)
        lines = [f"HTTP/1.1 {status}", *more, f"Content-Length: {len(answer.encode())}", "Connection: close"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + answer).encode())
        await writer.drain()
        writer.close()
        if method == "DELETE":
            self.ended.set()

    async def answer(self, method, path, fields, body):
        if fields.get("authorization") != f"Bearer {self.wanted['token']}":
            return "401 Unauthorized", ["WWW-Authenticate: Bearer"], ""
        if method == "POST" and path.startswith("/moved/"):
            return "307 Temporary Redirect", [f"Location: ../{path.removeprefix('/moved/')}"], ""
        if method == "POST" and path in ("/whip", "/whep") and fields.get("content-type") == "application/sdp":
            self.call = Call(self.wanted)
            self.seen |= {"offer": body, "answer": await self.call.answer(body)}
            return "201 Created", ["Content-Type: application/sdp", "Location: /sessions/1"], self.seen["answer"]
        if method == "DELETE" and path == "/sessions/1" and self.call:
            self.seen["stats"] = await self.call.statistics()
            await self.call.connection.close()
            return "200 OK", [], ""
        return "404 Not Found", [], ""


async def main(wanted):
    endpoint = Endpoint(wanted)
    server = await asyncio.start_server(endpoint.serve, wanted["host"], wanted["port"])
    print("listening", file=sys.stderr, flush=True)
    await endpoint.ended.wait()
    server.close()
    await asyncio.gather(*endpoint.call.recorders)
    if endpoint.call.pieces:
        soundfile.write(wanted["record"], np.concatenate([samples for _, samples in endpoint.call.pieces]), endpoint.call.pieces[0][0])
    print(json.dumps(endpoint.seen))


asyncio.run(main(json.loads(sys.argv[1])))
