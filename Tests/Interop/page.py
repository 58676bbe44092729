#!/usr/bin/env python3
"""The page of module httpd in headless Chromium, used as a person would: its buttons are pressed, its text is read, and what the
browser and the other end hear is measured. APUS_SCREENSHOTS=DIR keeps pictures of it, in light and dark, wide and narrow."""
import base64
import os
import pathlib
import time

from browser import Chromium, certificate
from lab import HOST, MODES, Network, Report, check, fresh, free_ports, score, wait_for
from peers import MODULES, ApusRun, Baresip

# What the page does with its connection is its own business; its figures and its sound are looked at from outside.
WATCH = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...all) { super(...all); connections.push(this) }
};
// Both ends say the same words: an echo canceller would take one for the other.
const capture = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = () =>
  capture({audio: {echoCancellation: false, autoGainControl: false, noiseSuppression: false}});
window.figuresOf = async pc => Object.fromEntries([...(await pc.getStats()).values()].map(each => [each.type, each]));
window.loudness = async seconds => {
  const context = new AudioContext(), analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(document.getElementById('sound').srcObject).connect(analyser);
  let most = 0, hertz = 0;
  for (let end = performance.now() + 1000 * seconds; performance.now() < end; await new Promise(done => setTimeout(done, 50))) {
    const wave = new Float32Array(analyser.fftSize), bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatTimeDomainData(wave);
    analyser.getFloatFrequencyData(bins);
    const level = Math.sqrt(wave.reduce((sum, each) => sum + each * each, 0) / wave.length);
    if (level > most) [most, hertz] = [level, bins.indexOf(Math.max(...bins)) * context.sampleRate / analyser.fftSize];
  }
  await context.close();
  return {level: most, hertz};
};
"""
# Texts that are hard to read on what is behind them (WCAG 2 §1.4.3: a contrast of 4.5).
FAINT = """(() => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => numbers(color).slice(0, 3).map(each => each / 255)
    .map(each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4)
    .reduce((sum, each, index) => sum + each * [.2126, .7152, .0722][index], 0);
  const behind = element => {
    const color = getComputedStyle(element).backgroundColor;
    return numbers(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  return [...document.querySelectorAll('body *')]
    .filter(each => each.checkVisibility() && [...each.childNodes].some(node => node.nodeType == 3 && node.data.trim()))
    .filter(each => {
      const [low, high] = [getComputedStyle(each).color, behind(each)].map(light).sort((one, two) => one - two);
      return (high + .05) / (low + .05) < 4.5;
    }).map(each => each.textContent.trim());
})()"""
# What is wider than its place.
WIDE = """[document.documentElement, ...document.querySelectorAll('.card')].filter(each => each.scrollWidth > each.clientWidth)
  .map(each => each.className || each.nodeName)"""
PEERS = ("page at", "sip:bob")
# How often it fetched a recording.
FETCHED = "performance.getEntriesByType('resource').filter(each => each.name.includes('/recordings/')).length"
# Keeps the browser's question for the microphone open until `allow()`, and counts the offers that leave.
PROMPT = """(() => {
  const capture = navigator.mediaDevices.getUserMedia, send = window.fetch;
  navigator.mediaDevices.getUserMedia = async () => {
    await new Promise(done => window.allow = done);
    return window.captured = await capture();
  };
  window.offers = 0;
  window.fetch = (path, options) => {
    if (options?.method == 'POST') offers++;
    return send(path, options);
  };
})()"""
# Lets the next questions about the talk fail, in two ways, which `failing` counts down.
FAILING = """(() => {
  const send = window.fetch;
  window.failing = 2;
  window.fetch = async (path, options) => {
    if (!failing || !path.startsWith('/talks/') || options?.method) return send(path, options);
    failing--;
    if (failing) return new Response('busy', {status: 503});
    throw new TypeError('the network has changed');
  };
})()"""
# A recording that is told with the right token only.
RECORDED = """(() => {
  const send = window.fetch;
  window.fetch = async (path, options) => path == '/recordings' && options.headers.Authorization == 'Bearer %s'
    ? new Response('{"recordings": ["one.wav"]}') : send(path, options);
})()"""
# How the page is looked at.
VIEWS = [("wide-light", 1200, 800, "light"), ("wide-dark", 1200, 800, "dark"), ("narrow-light", 390, 1500, "light"),
         ("narrow-dark", 390, 1500, "dark")]


class Page:
    """Apus with the module, and its page in a browser."""

    def __init__(self, mode, secure=False, extra="", parameters=""):
        web = free_ports(1)
        self.at, self.token = (f"{HOST}:{web}", "s3cret") if secure else (f"127.0.0.1:{web}", None)
        extra += f"http_listen {self.at}\ncall_max_calls 0\n"
        if secure:
            extra += f"http_certificate {certificate()}\nhttp_token {self.token}\n"
        self.network = Network()
        self.mode, self.extra, self.parameters, self.secure = mode, extra, parameters, secure

    def __enter__(self):
        self.network.__enter__()
        self.apus = ApusRun(
            self.mode, "srtp", "opus", namespace=self.network, host=HOST, modules=MODULES + ("ice", "aubridge", "httpd"),
            extra=self.extra, parameters=self.parameters)
        self.apus.__enter__()
        self.browser = Chromium(self.network, f"http{'s' if self.secure else ''}://{self.at}/")
        self.browser.__enter__()
        self.run(WATCH + "true")
        return self

    def __exit__(self, *_):
        self.browser.__exit__()
        self.apus.__exit__()
        self.network.__exit__()

    def run(self, script):
        return self.browser.run(script)

    def press(self, name):
        self.run(f"document.getElementById('{name}').click()")

    def reads(self, name, words, seconds=10):
        wait_for(lambda: words in self.run(f"document.getElementById('{name}').textContent"), seconds,
                 f"#{name} says {words!r}")

    def card(self, peer):
        """What the card of a call says, its lines by name."""
        return self.run(f"""(() => {{
          const card = [...document.querySelectorAll('.call')].find(each => each.querySelector('h3').textContent.includes('{peer}'));
          if (!card) return null;
          const text = (name) => card.querySelector(name).textContent;
          return {{facts: text('.facts'), rx: text('[data-of=rx] em'), tx: text('[data-of=tx] em'),
            loss: text('[data-of=loss] em'), jitter: text('[data-of=jitter] em'),
            line: card.querySelector('[data-of=jitter] .line').getAttribute('d'),
            ...Object.fromEntries([...card.querySelectorAll('dl div')].map(each => [...each.children].map(one => one.textContent)))}};
        }})()""")

    def connected(self):
        wait_for(lambda: self.run("connections.at(-1)?.connectionState") == "connected", 10, "the page is connected")

    def figures(self):
        return self.run("figuresOf(connections.at(-1))")

    def call(self, bob):
        self.run(f"document.getElementById('target').value = '{bob.uri};transport=udp'")
        self.run("document.getElementById('dial').requestSubmit()")
        self.connected()
        wait_for(lambda: (self.card("sip:bob") or {}).get("facts", "").count("established"), 10, "the SIP call stands")

    def view(self, width, height, scheme, when):
        """What one sees then, as a picture, as soon as `when` holds."""
        ask, session = self.browser.ask, self.browser.session
        ask("Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}, session)
        ask("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}, session)
        time.sleep(0.5)
        wait_for(when, 5, "the page has something to show")
        time.sleep(0.2)  # the bars move for so long
        return base64.b64decode(ask("Page.captureScreenshot", {"format": "png"}, session)["data"])


def echo(mode):
    with Page(mode) as page:
        page.press("echo")
        page.reads("state", "You hear yourself.")
        page.connected()
        time.sleep(6)
        heard = page.run("loudness(3)")
        card, figures = page.card("page at"), page.figures()
        page.press("end")
        page.reads("state", "Over.")
        wait_for(lambda: page.card("page at") is None, 5, "the call's card is gone")
        page.reads("summary", "0 calls")
    check(heard["level"] > 0.02, f"the page hears nothing of itself: {heard}")
    check(figures["inbound-rtp"]["packetsLost"] == 0 and figures["inbound-rtp"]["packetsReceived"] > 300, f"{figures}")
    check(card["loss"] == "0" and card["dropped"] == "0" and card["mode"] == mode, f"the card says {card}")
    check(card["rx"].endswith(" dB") and card["tx"].endswith(" dB") and "opus" in card["facts"], f"the card says {card}")
    check(card["line"].count("L") >= 8, f"the plot has few points: {card['line']}")
    check("lost 0, dropped 0" in page.apus.output(), f"apus: {page.apus.output()[-300:]!r}")
    return f"level {heard['level']:.2f}, in {card['rx']}, out {card['tx']}"


def recording(mode):
    with Page(mode) as page:
        page.press("record")
        page.reads("state", "Recording…")
        time.sleep(13)
        page.press("end")
        wait_for(lambda: page.run("document.querySelectorAll('#recordings li').length") == 1, 10, "the recording is there")
        time.sleep(2)
        early = page.run(FETCHED)
        page.run("document.querySelector('#recordings button').click()")
        wait_for(lambda: page.run("document.querySelector('#recordings audio').currentTime") > 0, 10, "the recording is heard")
        late = page.run(FETCHED)
        names = page.run("fetch('/recordings').then(each => each.json())")["recordings"]
        wave = page.run(f"""fetch('/recordings/{names[0]}').then(each => each.blob()).then(blob => new Promise(done => {{
          const reader = new FileReader();
          reader.onload = () => done(reader.result.split(',')[1]);
          reader.readAsDataURL(blob);
        }}))""")
        playable = page.run("document.querySelector('#recordings audio').duration")
    check((early, late) == (0, 1), f"the page fetched the recording {early} times unasked, and {late} times in all")
    path = fresh("page-recording") / "heard.wav"
    path.write_bytes(base64.b64decode(wave))
    mark = score(path, "opus")
    check(mark >= 3.5, f"PESQ {mark:.2f}, wanted 3.5")
    check(playable and playable > 10, f"the page's player sees {playable} s")
    return f"PESQ {mark:.2f}, {playable:.0f} s"


def gateway(mode):
    """The page dials Debian's baresip through Apus; speech crosses both ways."""
    with Page(mode) as page, Baresip("srtp", "opus", 60, namespace=page.network, host=HOST) as bob:
        page.call(bob)
        time.sleep(13)
        heard = page.run("loudness(2)")
        browser, sip = page.card("page at"), page.card("sip:bob")
        bob.command("hangup")
        page.reads("state", "The call is over.")
        page.reads("summary", "0 calls")
        said = page.apus.output()
        recorded = bob.recording()
    check(heard["level"] > 0.02, f"the page does not hear baresip: {heard}")
    for card in (browser, sip):
        check(card["loss"] == "0", f"a card says {card}")
    mark = score(recorded, "opus")
    check(mark >= 3.0, f"what baresip heard of the browser scores {mark:.2f}, wanted 3.0")
    check(said.count("lost 0") >= 2, f"apus: {said[-400:]!r}")
    return f"baresip heard {mark:.2f}, the page a level of {heard['level']:.2f}"


def level(page, peer):
    """The lower one of a call's two directions, in dB."""
    card = page.card(peer) or {}
    return min(float(card.get(way, "").removesuffix(" dB").replace("–", "") or -99) for way in ("rx", "tx"))


def looks(mode):
    """In each view both calls are there with levels and plots, their texts are legible and nothing sticks out."""
    pictures = {}
    with Page(mode) as page, Baresip("srtp", "opus", 60, namespace=page.network, host=HOST) as bob:
        page.call(bob)
        time.sleep(7)
        for name, *view in VIEWS:
            # While both speak: a pause has no level to show.
            pictures[name] = page.view(*view, when=lambda: all(level(page, peer) > -50 for peer in PEERS))
            # baresip hangs up where its speech ends, after 16 s: a picture of no call would be of no use.
            for peer in PEERS:
                card = page.card(peer)
                check(card, f"{name}: there is no call with {peer} any more")
                check(card["line"].count("L") >= 10, f"{name}: the plot has few points: {card['line']}")
            wide = page.run(WIDE)
            check(not wide, f"{name}: sticks out: {wide}")
            faint = page.run(FAINT)
            check(not faint, f"{name}: hard to read: {faint}")
    if folder := os.environ.get("APUS_SCREENSHOTS"):
        for name, picture in pictures.items():
            pathlib.Path(folder, f"{name}.png").write_bytes(picture)
    return ", ".join(pictures)


def nobody(mode):
    with Page(mode) as page:
        page.run("document.getElementById('target').value = 'sip:'; document.getElementById('dial').requestSubmit()")
        page.reads("state", "not a SIP URI")
        page.reads("summary", "0 calls")
        check(page.run("document.getElementById('end').hidden"), "the button to hang up is still there")


def unasked(mode):
    """Who hangs up while the browser asks for the microphone calls nobody, and is not listened to."""
    with Page(mode) as page:
        page.run(PROMPT)
        page.press("echo")
        wait_for(lambda: page.run("!!window.allow"), 5, "the page asks for the microphone")
        page.press("end")
        page.reads("state", "Over.")
        page.run("allow()")
        wait_for(lambda: page.run("!!window.captured"), 5, "the microphone is allowed")
        time.sleep(1.5)
        tracks = page.run("captured.getTracks().map(each => each.readyState)")
        offers, connections = page.run("offers"), page.run("connections.length")
        page.reads("state", "Over.")
    check(tracks == ["ended"], f"the microphone is {tracks}")
    check((offers, connections) == (0, 0), f"{offers} offers left, {connections} connections were made")


def busy(mode):
    """A question about the talk that fails does not end it."""
    with Page(mode) as page:
        page.press("echo")
        page.reads("state", "You hear yourself.")
        page.run(FAILING)
        wait_for(lambda: page.run("failing") == 0, 10, "two questions have failed")
        time.sleep(1.5)
        page.reads("state", "You hear yourself.")
        check(not page.run("document.getElementById('end').hidden"), "the talk has ended on the page")
        check(page.card("page at"), "the call has ended")
        page.press("end")
        page.reads("state", "Over.")
        page.reads("summary", "0 calls")


def by_token(mode):
    with Page(mode, secure=True) as page:
        wait_for(lambda: not page.run("document.getElementById('entry').hidden"), 10, "the page asks for the token")
        page.run(RECORDED % page.token)
        for word, is_right in (("guess", False), (page.token, True)):
            page.run(f"document.getElementById('token').value = '{word}'; document.getElementById('entry').requestSubmit()")
            page.reads("summary", "0 calls" if is_right else "the token is missing or wrong")
        wait_for(lambda: page.run("document.getElementById('entry').hidden"), 5, "the page asks for the token no more")
        wait_for(lambda: page.run("document.querySelectorAll('#recordings li').length") == 1, 5, "the recordings are there")
        page.press("echo")
        page.reads("state", "You hear yourself.")
        wait_for(lambda: page.card("page at"), 5, "the call has a card")
        page.run("document.querySelector('.call .danger').click()")
        page.reads("state", "Over.")
        check(page.token not in page.apus.output(), "the token is printed")


cases = [(f"the page, echo, {mode}", echo, mode) for mode in MODES]
cases += [(f"the page, a recording, {mode}", recording, mode) for mode in MODES[:2]]
cases += [(f"the page calls baresip through apus, {mode}", gateway, mode) for mode in MODES]
cases += [("how the page looks", looks, "thread"), ("the page, whom nobody can call", nobody, "main"), ("the page by https and a token", by_token, "thread")]
cases += [("the page, hung up before the microphone is allowed", unasked, "main"), ("the page, questions that fail", busy, "main")]
report = Report()
report.run(cases, at_once=2)
report.finish()
