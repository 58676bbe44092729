#!/usr/bin/env python3
"""A real browser, headless Chromium, calls Apus by WHIP and WHEP in every receive mode: its microphone plays speech, which Apus
records and PESQ scores; the tone that Apus plays has to be heard in the page, by its statistics and by its sound."""
import time

from browser import Chromium, certificate
from coturn import PORT, RELAYS, Coturn
from lab import HOST, MODES, ROOT, Listener, Network, Report, check, free_ports, score, wait_for
from peers import MODULES, ApusRun

TONE, LEVEL = 1000, 10 ** (-12 / 20) / 2 ** 0.5  # what ausine plays: a sine's RMS
SECONDS = 12
SETUP = 1500  # milliseconds from the offer's POST to connected
WANTED = {"opus": 3.5, "pcmu": 3.5}


def call(mode, codec, endpoint="/whip", direction="sendrecv", ends="delete", seconds=SECONDS, more=False,
         secure=False):
    """`ends`: how the call does, by the page's DELETE, by its closing, or by Apus. `more`: the page offers video and data, too.
    `secure`: by HTTPS, with a token, at an address that is not this machine's alone."""
    web = free_ports(1)
    at, token = (f"{HOST}:{web}", "s3cret") if secure else (f"127.0.0.1:{web}", None)
    listen = f"whip_listen {at}\n" + (f"whip_certificate {certificate()}\nwhip_token {token}\n" if secure else "")
    with Network() as namespace, \
            ApusRun(mode, "dtls_srtp", codec, namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=listen) as apus, \
            Chromium(namespace, f"http{'s' if secure else ''}://{at}/") as chromium:
        if secure:
            refused = chromium.dial(endpoint=endpoint, direction=direction, codec=codec, token="guess")
            check(refused["status"] == 401, f"a wrong token was answered with {refused}")
        dialled = chromium.dial(endpoint=endpoint, direction=direction, codec=codec, more=more, token=token)
        check(dialled.get("state") == "connected", f"the page is not connected: {dialled}; apus says {apus.output()[-300:]!r}")
        check(dialled["milliseconds"] <= SETUP, f"connected after {dialled['milliseconds']:.0f} ms, at most {SETUP} wanted")
        if more:
            answer = chromium.run("answer")
            check("m=video 0 " in answer and "m=application 0 " in answer, f"video and data are not refused: {answer!r}")
        time.sleep(seconds)
        heard = chromium.run("hear()") if direction != "sendonly" else None
        figures = chromium.run("figures()")
        check(figures["transport"]["dtlsState"] == "connected", f"no DTLS: {figures['transport']}")
        check(figures["codec"]["mimeType"].lower() == f"audio/{codec}", f"another codec: {figures['codec']['mimeType']}")
        if direction != "sendonly":
            inbound = figures["inbound-rtp"]
            check(inbound["packetsReceived"] >= 45 * seconds, f"the page received {inbound['packetsReceived']} packets")
            check(inbound["packetsLost"] == 0, f"the page lost {inbound['packetsLost']} packets")
            check(abs(heard["hertz"] - TONE) < 20, f"the page heard {heard['hertz']:.0f} Hz")
            check(0.7 < heard["level"] / LEVEL < 1.4, f"the page heard a level of {heard['level']:.3f}, not {LEVEL:.3f}")
        if direction != "recvonly":
            sent = figures["outbound-rtp"]["packetsSent"]
            check(sent >= 45 * seconds, f"the page sent {sent} packets")
        if ends == "apus":
            apus.command("/hangup")
        else:
            ended = chromium.run(f"end('{ends}')")
            check(ends != "delete" or ended == 200, f"DELETE was answered with {ended}")
        apus.wait_for("ended", 10)
        if ends == "apus":
            state = "pc.getTransceivers()[0].sender.transport.state"
            wait_for(lambda: chromium.run(state) == "closed", 10, "the page sees the end")
    said = apus.output()
    check(apus.code == 0, f"apus run ended with {apus.code}: {said[-300:]!r}")
    check("lost 0, dropped 0" in said, f"apus lost or dropped something: {said[-300:]!r}")
    check("secured by" in said, f"apus was not secure: {said[-300:]!r}")
    note = f"connected in {dialled['milliseconds']:.0f} ms"
    if direction != "recvonly" and seconds >= SECONDS:
        mark = score(apus.recording(), codec)
        check(mark >= WANTED[codec], f"PESQ {mark:.2f}, wanted {WANTED[codec]}")
        note += f", PESQ {mark:.2f}"
    return note


def relay_only(mode):
    """The page may be known by its relay only: nothing of its media goes anywhere but to coturn, and Apus hears it from there."""
    web = free_ports(1)
    server = {"urls": f"turn:{HOST}:{PORT}", "username": "apus", "credential": "secret"}
    with Network() as namespace, Coturn(namespace) as coturn, Listener(namespace) as listener, \
            ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=f"whip_listen 127.0.0.1:{web}\n") as apus, \
            Chromium(namespace, f"http://127.0.0.1:{web}/") as chromium:
        dialled = chromium.dial(endpoint="/whip", direction="sendrecv", codec="opus",
                                ice={"iceServers": [server], "iceTransportPolicy": "relay"})
        check(dialled.get("state") == "connected", f"the page is not connected: {dialled}; apus says {apus.output()[-300:]!r}")
        time.sleep(SECONDS)
        heard, figures, pair = (chromium.run(f"{each}()") for each in ("hear", "figures", "pair"))
        check(pair["local"] == "relay", f"the page uses a candidate of type {pair['local']}")
        received = figures["inbound-rtp"]["packetsReceived"]
        check(received >= 45 * SECONDS and figures["inbound-rtp"]["packetsLost"] == 0, f"the page received {figures['inbound-rtp']}")
        check(abs(heard["hertz"] - TONE) < 20 and 0.7 < heard["level"] / LEVEL < 1.4, f"the page heard {heard}")
        port = pair["remote"]["port"]
        check(chromium.run("end('delete')") == 200, "DELETE is not answered")
        apus.wait_for("ended", 10)
        log = coturn.log()
    reached = {each.source for each in listener.datagrams if each.target == port}
    check(reached and all(each in RELAYS for each in reached), f"apus was reached from ports {sorted(reached)}")
    check("lost 0, dropped 0" in apus.output(), f"apus lost or dropped something: {apus.output()[-300:]!r}")
    for words in ("ALLOCATE processed, success", "CREATE_PERMISSION processed, success", "REFRESH processed, success"):
        check(words in log, f"coturn does not say {words!r}")
    mark = score(apus.recording(), "opus")
    check(mark >= WANTED["opus"], f"PESQ {mark:.2f}, wanted {WANTED['opus']}")
    return f"connected in {dialled['milliseconds']:.0f} ms, PESQ {mark:.2f}, {received} packets heard by the page"


def ice_by_patch(mode):
    """The page trickles its candidates, and begins ICE anew twice while both talk: nothing is lost."""
    web = free_ports(1)
    with Network() as namespace, \
            ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=f"whip_listen 127.0.0.1:{web}\n") as apus, \
            Chromium(namespace, f"http://127.0.0.1:{web}/") as chromium:
        dialled = chromium.dial(endpoint="/whip", direction="sendrecv", codec="opus", trickles=True)
        check(dialled.get("state") == "connected", f"the page is not connected: {dialled}; apus says {apus.output()[-300:]!r}")
        check(dialled["patched"] and set(dialled["patched"]) == {204}, f"candidates were answered with {dialled['patched']}")
        took = []
        for _ in range(2):
            time.sleep(1.5)
            restarted = chromium.run("restart()")
            check("milliseconds" in restarted, f"ICE did not begin anew: {restarted}")
            took.append(restarted["milliseconds"])
        stale = chromium.run("patch('\"old\"', ice(pc.localDescription.sdp)).then(each => each.status)")
        check(stale == 412, f"a stale ETag was answered with {stale}")
        time.sleep(2)
        heard, figures = chromium.run("hear()"), chromium.run("figures()")
        inbound = figures["inbound-rtp"]
        check(inbound["packetsReceived"] >= 200 and inbound["packetsLost"] == 0, f"the page received {inbound}")
        check(abs(heard["hertz"] - TONE) < 20 and 0.7 < heard["level"] / LEVEL < 1.4, f"the page heard {heard}")
        check(chromium.run("end('delete')") == 200, "DELETE is not answered")
        apus.wait_for("ended", 10)
    check("lost 0, dropped 0" in apus.output(), f"apus lost or dropped something: {apus.output()[-300:]!r}")
    return f"{len(dialled['patched'])} candidates, anew within " + ", ".join(f"{each:.0f} ms" for each in took)


def as_the_readme_says():
    """The lines of JavaScript in the module's README, as they stand there."""
    lines = (ROOT / "Modules/whip/README.md").read_text().split("```js\n")[1].split("```")[0]
    web = free_ports(1)
    with Network() as namespace, \
            ApusRun("thread", "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=f"whip_listen 127.0.0.1:{web}\n") as apus, \
            Chromium(namespace, f"http://127.0.0.1:{web}/") as chromium:
        chromium.run(f"(async () => {{ {lines}; window.pc = pc }})()")
        wait_for(lambda: chromium.run("pc.connectionState") == "connected", 10, "the page is connected")
        time.sleep(2)
        received = chromium.run("figures()")["inbound-rtp"]["packetsReceived"]
        check(received >= 80, f"the page received {received} packets")
    check("lost 0, dropped 0" in apus.output(), f"apus lost or dropped something: {apus.output()[-300:]!r}")
    return f"{received} packets in two seconds"


cases = [(f"chromium, whip both ways, {codec}, {mode}", call, mode, codec) for mode in MODES for codec in ("opus", "pcmu")]
cases += [("chromium, whip, only the page sends, main", call, "main", "opus", "/whip", "sendonly", "close", 3),
          ("chromium, whep, the page only listens, thread", call, "thread", "opus", "/whep", "recvonly", "apus", 3),
          ("chromium, video and data are refused, audio goes on, pool", call, "pool", "opus", "/whip", "sendrecv", "delete",
           3, True),
          ("chromium, https and a token, thread", call, "thread", "opus", "/whip", "sendrecv", "delete", 3, False, True),
          ("chromium, the README's lines", as_the_readme_says)]
cases += [(f"chromium by its relay only, {mode}", relay_only, mode) for mode in MODES]
cases += [(f"chromium, trickled candidates and ICE restarts, {mode}", ice_by_patch, mode) for mode in MODES]
report = Report()
report.run(cases, at_once=2)
report.finish()
