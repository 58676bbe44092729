"""A headless Chromium, spoken to over its debugging pipe, and the calls that a page in it makes by WHIP and WHEP."""
import itertools
import json
import os
import subprocess
import threading

from lab import HOST, SPEECH, Failure, check, fresh, running, stop, wait_for

PAGE = """
window.dial = async ({endpoint, direction, codec, more, token, ice: servers, trickles, redundant, by, video}) => {
  const pc = window.pc = new RTCPeerConnection(servers);
  const later = window.later = [];
  pc.onicecandidate = event => { if (event.candidate && event.candidate.candidate) later.push(event.candidate); };
  const microphone = {audio: {echoCancellation: false, autoGainControl: false, noiseSuppression: false}};
  let transceiver;
  if (direction != 'recvonly') {
    const stream = await navigator.mediaDevices.getUserMedia(microphone);
    transceiver = pc.addTransceiver(stream.getAudioTracks()[0], {direction, streams: [stream]});
  } else transceiver = pc.addTransceiver('audio', {direction});
  const codecs = RTCRtpReceiver.getCapabilities('audio').codecs;
  const wanted = [...(redundant ? ['audio/red'] : []), 'audio/' + codec];
  transceiver.setCodecPreferences(wanted.flatMap(type => codecs.filter(each => each.mimeType.toLowerCase() == type)));
  if (more) {
    pc.addTransceiver('video', {direction});
    window.data = pc.createDataChannel('data');
  }
  if (video) {
    const camera = (await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480, frameRate: 30}})).getVideoTracks()[0];
    const line = pc.addTransceiver(camera, {direction, streams: [new MediaStream([camera])]});
    const all = RTCRtpReceiver.getCapabilities('video').codecs, type = 'video/' + video;
    line.setCodecPreferences(all.filter(each => each.mimeType.toLowerCase() == type || each.mimeType == 'video/rtx'));
  }
  pc.ontrack = event => {
    const stream = event.streams[0] || new MediaStream([event.track]);
    if (event.track.kind == 'video') {
      const screen = window.screen = document.createElement('video');
      [screen.srcObject, screen.muted, screen.playsInline] = [stream, true, true];
      document.body.append(screen);
      screen.play();
      return;
    }
    const element = window.element = new Audio();
    element.srcObject = stream;
    element.muted = true;
    element.play();
    const context = window.context = new AudioContext();
    const analyser = window.analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(stream).connect(analyser);
  };
  await pc.setLocalDescription();
  const offer = pc.localDescription.sdp;
  if (!trickles) await new Promise(done => {
    const look = () => { if (pc.iceGatheringState == 'complete') done(); };
    pc.onicegatheringstatechange = look;
    look();
  });
  // Who is reached by another's port is not told the page's own.
  const body = trickles ? offer : pc.localDescription.sdp.replace(by ? /^a=candidate:.*\\r\\n/gm : '', '');
  const begin = performance.now();
  const headers = window.headers = {'Content-Type': 'application/sdp', ...(token && {Authorization: 'Bearer ' + token})};
  const response = await fetch(endpoint, {method: 'POST', headers, body});
  if (response.status != 201) return {status: response.status, text: await response.text()};
  window.resource = response.headers.get('Location');
  window.tag = response.headers.get('ETag');
  window.answer = await response.text();
  if (by) window.answer = window.answer.replace(/^(a=candidate:(?:\\S+ ){5})\\d+ typ/gm, `$1${by} typ`);
  await pc.setRemoteDescription({type: 'answer', sdp: window.answer});
  while (pc.connectionState != 'connected') {
    if (pc.connectionState == 'failed' || performance.now() - begin > 10000) return {status: 201, state: pc.connectionState};
    await new Promise(done => setTimeout(done, 5));
  }
  const milliseconds = performance.now() - begin, patched = [];
  if (trickles) for (const each of later)
    patched.push((await patch(window.tag, ice(offer) + `a=${each.candidate}\\r\\n`)).status);
  return {status: 201, state: pc.connectionState, milliseconds, patched};
};
// Lines of ICE, as a session's PATCH takes them.
const ice = sdp => sdp.split('\\r\\n').filter(line => /^(m=|a=(mid|ice-ufrag|ice-pwd|candidate):)/.test(line)).join('\\r\\n') + '\\r\\n';
window.patch = (match, body) => fetch(window.resource, {method: 'PATCH', body, headers: {
  ...window.headers, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': match}});
window.restart = async () => {
  pc.restartIce();
  await pc.setLocalDescription();
  while (pc.iceGatheringState != 'complete' || !pc.localDescription.sdp.includes('a=candidate'))
    await new Promise(done => setTimeout(done, 5));
  const begin = performance.now();
  const response = await patch('*', ice(pc.localDescription.sdp));
  const fragment = await response.text();
  if (response.status != 200) return {status: response.status, text: fragment};
  window.tag = response.headers.get('ETag');
  const line = name => fragment.match(new RegExp(`^a=${name}:.*`, 'm'))[0].trim();
  const lines = window.answer.split('\\r\\n').filter(each => !/^a=(candidate|end-of-candidates)|^$/.test(each))
    .map(each => /^a=ice-(ufrag|pwd):/.test(each) ? line(each.slice(2, each.indexOf(':'))) : each);
  const sdp = [...lines, ...fragment.match(/^a=candidate:.*$/mg).map(each => each.trim()), ''].join('\\r\\n');
  await pc.setRemoteDescription({type: 'answer', sdp});
  const name = pc.localDescription.sdp.match(/a=ice-ufrag:(\\S+)/)[1];
  while (performance.now() - begin < 5000) {
    const all = await pc.getStats(), transport = [...all.values()].find(each => each.type == 'transport');
    const pair = all.get(transport.selectedCandidatePairId);
    if (pair && all.get(pair.localCandidateId).usernameFragment == name && pair.state == 'succeeded')
      return {status: 200, milliseconds: performance.now() - begin};
    await new Promise(done => setTimeout(done, 20));
  }
  return {status: 200, state: pc.iceConnectionState};
};
window.hear = () => {
  const bins = new Float32Array(analyser.frequencyBinCount), wave = new Float32Array(analyser.fftSize);
  analyser.getFloatFrequencyData(bins);
  analyser.getFloatTimeDomainData(wave);
  const loudest = bins.indexOf(Math.max(...bins));
  const level = Math.sqrt(wave.reduce((sum, each) => sum + each * each, 0) / wave.length);
  return {hertz: loudest * context.sampleRate / analyser.fftSize, level};
};
window.figures = async (kind = 'audio') => {
  const found = {};
  for (const each of (await pc.getStats()).values()) {
    if (each.kind && each.kind != kind || each.mimeType && !each.mimeType.startsWith(kind)) continue;
    if (['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp', 'transport', 'codec'].includes(each.type)) found[each.type] = each;
  }
  return found;
};
window.pair = async () => {
  const all = await pc.getStats();
  const transport = [...all.values()].find(each => each.type == 'transport');
  const pair = all.get(transport.selectedCandidatePairId);
  return {local: all.get(pair.localCandidateId).candidateType, remote: all.get(pair.remoteCandidateId)};
};
// Red, green and blue of what is shown, over all of it.
window.colours = () => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [64, 48];
  const context = canvas.getContext('2d');
  context.drawImage(window.screen, 0, 0, 64, 48);
  const pixels = context.getImageData(0, 0, 64, 48).data, sums = [0, 0, 0];
  pixels.forEach((value, index) => { if (index % 4 < 3) sums[index % 4] += value / 64 / 48; });
  return {width: window.screen.videoWidth, height: window.screen.videoHeight, mean: sums};
};
window.bitrate = async () => {
  const all = await pc.getStats();
  return all.get([...all.values()].find(each => each.type == 'transport').selectedCandidatePairId).availableOutgoingBitrate;
};
window.end = async how => {
  const path = window.resource;
  if (how == 'close') pc.close();
  else return (await fetch(path, {method: 'DELETE', headers: window.headers})).status;
};
"""


def certificate():
    """A file with a certificate and its key, for HOST."""
    folder = fresh("https")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
         f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", folder / "key", "-out", folder / "certificate"], check=True,
        capture_output=True)
    path = folder / "both.pem"
    path.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return path


class Chromium:
    """One page, whose microphone plays a file over and over."""

    def __init__(self, namespace, page, speech=SPEECH):
        self.folder, self.namespace, self.page = fresh("chromium"), namespace, page
        self.numbers, self.answers, self.arrived = itertools.count(1), {}, threading.Condition()
        self.command = [
            "ip", "netns", "exec", namespace.name, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
            "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--remote-debugging-pipe", f"--user-data-dir={self.folder}/profile", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={speech}",
            "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required",
            "--disable-features=WebRtcHideLocalIpsWithMdns", "about:blank"]

    def __enter__(self):
        to_browser, from_browser = os.pipe(), os.pipe()

        def ends():
            # The browser reads from 3 and writes to 4; the pipes' own numbers may be these.
            reading, writing = os.dup(to_browser[0]), os.dup(from_browser[1])
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(
            self.command, preexec_fn=ends, close_fds=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "HOME": str(self.folder)}, start_new_session=True)
        running.add(self.process)
        os.close(to_browser[0])
        os.close(from_browser[1])
        self.pipe, self.replies = to_browser[1], from_browser[0]
        threading.Thread(target=self.listen, daemon=True).start()
        target = self.ask("Target.createTarget", {"url": self.page})["targetId"]
        self.session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        wait_for(self.is_loaded, 20, "the page is loaded")
        self.run(PAGE + "true")
        return self

    def __exit__(self, *_):
        os.close(self.pipe)
        stop(self.process, 10)

    def is_loaded(self):
        try:
            return self.run("document.readyState == 'complete' && location.href != 'about:blank'")
        except Failure:  # between one document and the next there is nothing to run a script in
            return False

    def listen(self):
        rest = b""
        while more := os.read(self.replies, 1 << 16):
            *whole, rest = (rest + more).split(b"\0")
            with self.arrived:
                for each in map(json.loads, whole):
                    if "id" in each:
                        self.answers[each["id"]] = each
                self.arrived.notify_all()

    def ask(self, method, parameters=None, session=None, seconds=30):
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": parameters or {}, **({"sessionId": session} if session else {})}
        os.write(self.pipe, json.dumps(request).encode() + b"\0")
        with self.arrived:
            is_there = self.arrived.wait_for(lambda: number in self.answers, seconds)
            check(is_there, f"Chromium does not answer {method}: {self.log()}")
            answer = self.answers.pop(number)
        check("error" not in answer, f"Chromium refuses {method}: {answer.get('error')}")
        return answer["result"]

    def run(self, script):
        """The value of a script in the page, once its promise is kept."""
        result = self.ask("Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True}, self.session)
        check("exceptionDetails" not in result, f"the page's script failed: {str(result.get('exceptionDetails'))[:600]}")
        return result["result"].get("value")

    def dial(self, **how):
        return self.run(f"dial({json.dumps(how)})")

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-600:]
