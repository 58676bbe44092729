#!/usr/bin/env python3
"""A real browser, headless Chromium, calls Apus by WHIP and WHEP in every receive mode: its microphone plays speech, which Apus
records and PESQ scores; the tone that Apus plays has to be heard in the page, by its statistics and by its sound."""
import re
import time
from contextlib import contextmanager

from browser import Chromium, certificate
from coturn import PORT, RELAYS, Coturn
from lab import HOST, MODES, ROOT, Listener, Network, Report, check, free_ports, score, wait_for
from lossy_way import LossyWay
from peers import MODULES, ApusRun

TONE, LEVEL = 1000, 10 ** (-12 / 20) / 2 ** 0.5  # what ausine plays: a sine's RMS
SECONDS = 10
SETUP = 1500  # milliseconds from the offer's POST to connected
WANTED = {"opus": 3.5, "pcmu": 3.5}


@contextmanager
def apus_and_page(mode, extra="", **more):
    """Apus, which answers by WHIP and plays a tone, and a page in the same network."""
    web = free_ports(1)
    with Network() as namespace, \
            ApusRun(mode, "dtls_srtp", "opus", namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=f"whip_listen 127.0.0.1:{web}\n{extra}", **more) as apus, \
            Chromium(namespace, f"http://127.0.0.1:{web}/") as chromium:
        yield namespace, apus, chromium


def connect(chromium, apus, endpoint="/whip", direction="sendrecv", codec="opus", **more):
    """Has the page call; what it says of it."""
    dialled = chromium.dial(endpoint=endpoint, direction=direction, codec=codec, **more)
    check(dialled.get("state") == "connected", f"the page is not connected: {dialled}; apus says {apus.output()[-300:]!r}")
    return dialled


def call(mode, codec, endpoint="/whip", direction="sendrecv", ends="delete", seconds=SECONDS, more=False,
         secure=False, lite=False):
    """`ends`: how the call does, by the page's DELETE, by its closing, or by Apus. `more`: the page offers video and data, too.
    `secure`: by HTTPS, with a token, at an address that is not this machine's alone. `lite`: only the page checks."""
    web = free_ports(1)
    at, token = (f"{HOST}:{web}", "s3cret") if secure else (f"127.0.0.1:{web}", None)
    listen = f"whip_listen {at}\n" + (f"whip_certificate {certificate()}\nwhip_token {token}\n" if secure else "")
    listen += "ice_lite yes\n" if lite else ""
    with Network() as namespace, \
            ApusRun(mode, "dtls_srtp", codec, namespace=namespace, host=HOST, modules=MODULES + ("ice", "whip"),
                    source=f"ausine,{TONE}", extra=listen) as apus, \
            Chromium(namespace, f"http{'s' if secure else ''}://{at}/") as chromium:
        if secure:
            refused = chromium.dial(endpoint=endpoint, direction=direction, codec=codec, token="guess")
            check(refused["status"] == 401, f"a wrong token was answered with {refused}")
        dialled = connect(chromium, apus, endpoint, direction, codec, more=more, token=token)
        check(dialled["milliseconds"] <= SETUP, f"connected after {dialled['milliseconds']:.0f} ms, at most {SETUP} wanted")
        answer = chromium.run("answer")
        check(("a=ice-lite" in answer.split("m=", 1)[0]) == lite, f"apus says {answer!r}")
        if more:
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
        dialled = connect(chromium, apus, ice={"iceServers": [server], "iceTransportPolicy": "relay"})
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
    with apus_and_page(mode) as (_, apus, chromium):
        dialled = connect(chromium, apus, trickles=True)
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


def redundant(mode):
    """A tenth of what the page sends is lost; it sends each packet's audio once more with the next."""
    with apus_and_page(mode, ports=3) as (namespace, apus, chromium):
        port = apus.rtp_port
        with LossyWay(namespace, (HOST, port), 0.1) as way:
            connect(chromium, apus, redundant=True, by=way.port)
            answer = chromium.run("answer")
            red, opus = (int(re.search(rf"a=rtpmap:(\d+) {name}/48000/2", answer)[1]) for name in ("red", "opus"))
            check(f"m=audio {port} UDP/TLS/RTP/SAVPF {red} {opus}" in answer, f"answered {answer!r}")
            check(f"a=rtcp-fb:{opus} transport-cc" in answer and "a=rtcp-rsize" in answer, f"answered {answer!r}")
            arrivals = int(re.search(r"a=extmap:(\d+)/recvonly \S+transport-wide-cc-extensions-01", answer)[1])
            time.sleep(SECONDS)
            bitrate = chromium.run("bitrate()")
            apus.command("/audio_debug")
            apus.wait_for("recovered", 5)
            check(chromium.run("end('delete')") == 200, "DELETE is not answered")
            apus.wait_for("ended", 10)
        check(way.types == {red}, f"the page sends {way.types}, not {red} alone")
        numbers = [int.from_bytes(each[arrivals], "big") for each in way.elements if arrivals in each]
        check(numbers == list(range(numbers[0], numbers[0] + len(way.elements))), f"packets are not numbered: {numbers[:9]}")
        lost, recovered = map(int, re.search(r"lost (\d+), .*recovered (\d+)", apus.output()).groups())
        # Of two lost in a row only the second comes again, and not all come in time.
        check(way.dropped > 20 and 0.5 * way.dropped < lost <= way.dropped, f"lost {lost} of {way.dropped} dropped on their way")
        check(0.5 * lost < recovered < lost, f"lost {lost}, recovered {recovered}")
        check(re.search(r"ended, hangup.*dropped 0", apus.output()), f"apus dropped something: {apus.output()[-300:]!r}")
    # Without redundancy 1.7 to 1.8.
    mark = score(apus.recording(), "opus")
    check(mark >= 2.5, f"PESQ {mark:.2f}")
    return f"{way.dropped} lost on their way, {recovered} recovered, PESQ {mark:.2f}, {bitrate / 1000:.0f} kbit/s"


def levels(mode):
    """With `audio_level` the browser's header extension is answered, under its number; each then knows how loud the other is."""
    with apus_and_page(mode, extra="audio_level yes\navt_bundle yes\n") as (_, apus, chromium):
        connect(chromium, apus)
        offered = re.findall(r"^a=(extmap:.*)$", chromium.run("pc.localDescription.sdp").replace("\r", ""), re.M)
        answered = re.findall(r"^a=(extmap:.*)$", chromium.run("answer").replace("\r", ""), re.M)
        level, arrivals = answered if len(answered) == 2 else (None, None)
        check(len(offered) > 2 and level in offered and level.endswith(":ssrc-audio-level")
              and arrivals.replace("/recvonly", "") in offered and "transport-wide-cc" in arrivals,
              f"{offered} was answered with {answered}")
        seen = []
        for _ in range(8):
            time.sleep(0.5)
            apus.command("/callstat")
            # Chromium has what the header extension says, from 0 to 1.
            seen.append(chromium.run("pc.getReceivers()[0].getSynchronizationSources()[0].audioLevel"))
        check(all(0.7 < each / LEVEL < 1.4 for each in seen[1:]), f"the page is told levels of {seen}, not {LEVEL:.3f}")
        figures = chromium.run("figures()")
        check(figures["inbound-rtp"]["packetsLost"] == 0, f"the page lost packets: {figures['inbound-rtp']}")
        check(chromium.run("end('delete')") == 200, "DELETE is not answered")
        apus.wait_for("ended", 10)
    heard = [int(each) for each in re.findall(r"the peer at (-?\d+) dBov", apus.output())]
    check(len(heard) >= 6 and -60 < max(heard) < -3, f"apus is told {heard} dBov of the page's speech")
    check("lost 0, dropped 0" in apus.output(), f"apus lost or dropped something: {apus.output()[-300:]!r}")
    return f"{level}, speech at up to {max(heard)} dBov, the tone at {seen[-1]:.2f} of {LEVEL:.2f}"


def as_the_readme_says():
    """The lines of JavaScript in the module's README, as they stand there."""
    lines = (ROOT / "Modules/whip/README.md").read_text().split("```js\n")[1].split("```")[0]
    with apus_and_page("thread") as (_, apus, chromium):
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
          ("chromium, apus is lite, main", call, "main", "opus", "/whip", "sendrecv", "delete", 3, False, False, True),
          ("chromium, the README's lines", as_the_readme_says)]
cases += [(f"chromium by its relay only, {mode}", relay_only, mode) for mode in MODES]
cases += [(f"chromium, trickled candidates and ICE restarts, {mode}", ice_by_patch, mode) for mode in MODES]
cases += [(f"chromium, redundant audio, {mode}", redundant, mode) for mode in MODES]
cases += [(f"chromium, audio levels beside the audio, {mode}", levels, mode) for mode in MODES]
report = Report()
report.run(cases)
report.finish()
