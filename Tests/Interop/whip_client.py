#!/usr/bin/env python3
"""Apus calls by WHIP and WHEP: another Apus, in every receive mode, where speech crosses and PESQ scores it, and an endpoint whose media
is aiortc's, where each end has to hear the other's tone."""
import json
import re
import sys
import time

from browser import certificate
from coturn import PORT, RELAYS, Coturn
from lab import HERE, HOST, MODES, Listener, Network, Report, check, free_ports, fresh, load, score, start, stop, text, tone_share, wait_for
from peers import MODULES, ApusRun

SECONDS, WANTED = 8, 3.5
APUS_TONE, AIORTC_TONE = 1000, 600
TOKEN = "s3cret"


def apus(mode, namespace, extra, at=None, **more):
    """`at`: where it serves."""
    return ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                   extra=f"whip_listen {at or f'127.0.0.1:{free_ports(1)}'}\nopus_bitrate 64000\n{extra}", **more)


def ended(run):
    """What a run says of its one call: packets sent and received."""
    said = run.output()
    check(run.code == 0, f"apus run ended with {run.code}: {said[-300:]!r}")
    check(TOKEN not in said, "the token is shown")
    # What crosses with the good-bye may come too late.
    found = re.findall(r"ended, hangup; [\d.]+ s, sent (\d+), received (\d+), lost 0, dropped [01]\b", said)
    check(len(found) == 1 and "secured by" in said, f"no call went well: {said[-400:]!r}")
    return tuple(map(int, found[0]))


def to_apus(mode, endpoint, ends="client", secure=False):
    """`ends`: who hangs up."""
    web = free_ports(1)
    extra, trust, at = "", "", f"127.0.0.1:{web}"
    if secure:
        identity, at = certificate(), f"{HOST}:{web}"
        extra, trust = f"whip_certificate {identity}\nwhip_token {TOKEN}\n", f"sip_cafile {identity}\n"
    with Network() as namespace, apus(mode, namespace, extra, at) as server, \
            apus(mode, namespace, f"whip_client_token {TOKEN}\n{trust}") as client:
        began = time.monotonic()
        client.command(f"/{endpoint} http{'s' if secure else ''}://{at}/{endpoint}")
        client.wait_for("the peer is heard")
        took = time.monotonic() - began
        time.sleep(SECONDS)
        (client if ends == "client" else server).command("/hangup")
        for each in (client, server):
            each.wait_for("ended, ")
    (sent, received), (_, arrived) = ended(client), ended(server)
    check(received > 45 * SECONDS, f"the client received {received} packets")
    check(arrived == sent and (sent > 45 * SECONDS if endpoint == "whip" else sent == 0),
          f"the client sent {sent} packets, and {arrived} arrived")
    marks = [score(each.recording(), "opus") for each in ([client, server] if endpoint == "whip" else [client])]
    check(min(marks) >= WANTED, f"PESQ {marks}")
    return f"heard after {took * 1000:.0f} ms, PESQ " + " and ".join(f"{mark:.2f}" for mark in marks)


class Aiortc:
    """An endpoint whose media is aiortc's, in a namespace."""

    def __init__(self, namespace):
        self.port, self.folder = free_ports(1), fresh("whip-endpoint")
        self.url, self.heard = f"http://{HOST}:{self.port}", self.folder / "heard.wav"
        wanted = {"host": HOST, "port": self.port, "token": TOKEN, "tone": AIORTC_TONE, "record": str(self.heard)}
        self.process = start([sys.executable, HERE / "whip_endpoint.py", json.dumps(wanted)], self.folder / "endpoint", namespace)

    def __enter__(self):
        wait_for(lambda: "listening" in text(self.process) or self.process.poll() is not None, 20, "the endpoint is up")
        return self

    def __exit__(self, *_):
        stop(self.process)

    def seen(self):
        check(self.process.wait(20) == 0, f"the endpoint ended with {self.process.returncode}: {text(self.process)[-300:]!r}")
        return json.loads(text(self.process, "out"))


def is_heard(path, tone):
    samples = load(path, 8000)[4000:]
    share, frequency = tone_share(samples)
    check(share > 0.98 and abs(frequency - tone) < 3, f"{path} has {share:.3f} at {frequency:.0f} Hz, not {tone} Hz")
    return share


def to_aiortc(mode, endpoint):
    with Network() as namespace, Aiortc(namespace) as peer, \
            apus(mode, namespace, f"whip_client_token {TOKEN}\n", source=f"ausine,{APUS_TONE}") as us:
        us.command(f"/{endpoint} {peer.url}/moved/{endpoint}")
        us.wait_for("the peer is heard")
        time.sleep(3)
        us.command("/hangup")
        us.wait_for("ended, ")
        seen = peer.seen()
    sent, received = ended(us)
    check(seen["requests"] == [f"POST /moved/{endpoint}", f"POST /{endpoint}", "DELETE /sessions/1"], f"asked {seen['requests']}")
    check(seen["stats"]["outbound-rtp"]["packetsSent"] - received in range(4) and received > 130,
          f"received {received} of {seen['stats']['outbound-rtp']}")
    is_heard(us.recording(), AIORTC_TONE)
    if endpoint == "whip":
        inbound = seen["stats"]["inbound-rtp"]
        check(inbound["packetsLost"] == 0 and sent - inbound["packetsReceived"] in range(4) and sent > 130, f"{sent} sent, {inbound}")
        is_heard(peer.heard, APUS_TONE)
    else:
        check(sent == 0 and "a=recvonly" in seen["offer"] and "a=sendonly" in seen["answer"], f"{sent} sent; {seen['offer']!r}")
    return f"{sent} sent, {received} received"


def relay_only(mode):
    """Both may be known by their relays only: offer and answer wait for coturn, and nothing goes from one to the other but by it."""
    web = free_ports(1)
    how = {"extra": "ice_policy relay\n", "parameters": f";stunserver=\"turn:{HOST}:{PORT}\";stunuser=apus;stunpass=secret"}
    with Network() as namespace, Coturn(namespace) as coturn, Listener(namespace) as listener, \
            apus(mode, namespace, at=f"127.0.0.1:{web}", **how) as server, apus(mode, namespace, **how) as client:
        client.command(f"/whip http://127.0.0.1:{web}/whip")
        for each in (client, server):
            each.wait_for("the peer is heard")
        time.sleep(SECONDS)
        client.command("/hangup")
        for each in (client, server):
            each.wait_for("ended, ")
        log = coturn.log()
    for each in (client, server):
        check(min(ended(each)) > 40 * SECONDS, f"media did not flow: {ended(each)}")
    direct = [each for each in listener.datagrams if {each.source, each.target}.isdisjoint({PORT, *RELAYS})]
    check(len(listener.datagrams) > 200 * SECONDS and not direct, f"{len(direct)} datagrams of {len(listener.datagrams)} went past the server")
    for words in ("ALLOCATE processed, success", "CHANNEL_BIND processed, success", "lifetime=0"):
        check(words in log, f"coturn does not say {words!r}")
    marks = [score(each.recording(), "opus") for each in (client, server)]
    check(min(marks) >= WANTED, f"PESQ {marks}")
    return "PESQ " + " and ".join(f"{mark:.2f}" for mark in marks)


cases = [(f"whip to apus, both ways, {mode}", to_apus, mode, "whip") for mode in MODES]
cases += [(f"whep from apus, {mode}", to_apus, mode, "whep", "server") for mode in MODES]
cases += [("whip to apus, https and a token, thread", to_apus, "thread", "whip", "client", True)]
cases += [(f"{endpoint} to aiortc, redirected, with a token, {mode}", to_aiortc, mode, endpoint) for mode in MODES
          for endpoint in ("whip", "whep")]
cases += [(f"whip to apus by relays only, {mode}", relay_only, mode) for mode in MODES]
report = Report()
report.run(cases, at_once=2)
report.finish()
