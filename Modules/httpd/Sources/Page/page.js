// The page's script: asks for the calls twice a second and draws them, and makes the browser's own call.
const find = id => document.getElementById(id)
const PERIOD = 500, POINTS = 120 // a minute of plots

// MARK: What is asked of Apus

let token = sessionStorage.getItem('token')

async function ask(path, options = {}) {
  const headers = {...options.headers, ...(token && {Authorization: `Bearer ${token}`})}
  const response = await fetch(path, {...options, headers})
  find('entry').hidden = response.status != 401
  if (!response.ok) {
    const text = (await response.text()).trim() || `status ${response.status}`
    throw Object.assign(new Error(text), {status: response.status})
  }
  return response
}

find('entry').onsubmit = event => {
  event.preventDefault()
  token = find('token').value
  sessionStorage.setItem('token', token)
  look().then(list).catch(() => {})
}

// MARK: The calls

const cards = new Map() // by number: {element, loss, jitter, lost, received}

function meter(element, decibels) {
  const share = decibels == null ? 0 : Math.max(0, Math.min(1, (decibels + 60) / 60))
  element.querySelector('b').style.transform = `scaleX(${share})`
  element.querySelector('em').textContent = decibels == null ? '–' : `${Math.round(decibels)} dB`
  element.classList.toggle('loud', decibels != null && decibels > -3)
}

function plot(figure, values, least, text, isBad) {
  const top = Math.max(least, ...values)
  const points = values.map((value, index) => `${POINTS - values.length + index},${(29 - 28 * value / top).toFixed(1)}`)
  const from = POINTS - values.length
  figure.querySelector('.line').setAttribute('d', `M${points.join('L')}`)
  figure.querySelector('.area').setAttribute('d', `M${from},30L${points.join('L')}L${POINTS - 1},30Z`)
  figure.querySelector('em').textContent = text
  figure.querySelector('svg').setAttribute('aria-label', `${figure.dataset.of}: ${text}`)
  figure.classList.toggle('bad', isBad)
}

function card(number) {
  const element = find('call').content.cloneNode(true).firstElementChild
  element.querySelector('button').onclick = () => ask(`/calls/${number}`, {method: 'DELETE'}).then(look, tell)
  find('calls').append(element)
  const made = {element, loss: [], jitter: [], lost: 0}
  cards.set(number, made)
  return made
}

function time(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}

function show({id, report, level_tx_db, level_rx_db}) {
  const known = cards.get(id) ?? card(id), {element} = known
  element.querySelector('h3').textContent = report.peer
  element.querySelector('.facts').textContent = [
    `call ${id}`, report.state, report.direction, time(report.duration_s), report.codec?.split('/')[0],
    report.srtp_profile ?? report.mediaenc].filter(Boolean).join(' · ')
  meter(element.querySelector('[data-of=rx]'), level_rx_db)
  meter(element.querySelector('[data-of=tx]'), level_tx_db)
  const lost = Math.max(0, report.rx.lost - known.lost)
  known.lost = report.rx.lost
  for (const [list, value] of [[known.loss, lost], [known.jitter, report.rx.jitter_ms]]) {
    list.push(value)
    if (list.length > POINTS) list.shift()
  }
  plot(element.querySelector('[data-of=loss]'), known.loss, 5, `${report.rx.lost}`, lost > 0)
  plot(element.querySelector('[data-of=jitter]'), known.jitter, 10, `${report.rx.jitter_ms.toFixed(1)} ms`, report.rx.jitter_ms > 30)
  const drops = Object.values(report.drops).reduce((sum, each) => sum + each, 0)
  const figures = {
    sent: report.tx.packets, received: report.rx.packets, late: report.rx.late, dropped: drops,
    'round trip': report.rtt_ms == null ? '–' : `${report.rtt_ms.toFixed(1)} ms`, MOS: report.mos?.toFixed(1) ?? '–',
    're-keys': report.rekeys, mode: report.rxmode}
  element.querySelector('dl').replaceChildren(...Object.entries(figures).map(([name, value]) => {
    const [pair, term, text] = ['div', 'dt', 'dd'].map(tag => document.createElement(tag))
    term.textContent = name
    text.textContent = value
    pair.append(term, text)
    return pair
  }))
}

async function look() {
  try {
    const {calls} = await (await ask('/calls')).json()
    calls.forEach(show)
    for (const [id, {element}] of cards) {
      if (calls.some(each => each.id == id)) continue
      element.remove()
      cards.delete(id)
    }
    find('none').hidden = calls.length > 0
    find('summary').textContent = calls.length == 1 ? '1 call' : `${calls.length} calls`
    if (talk) await follow()
  } catch (error) {
    find('summary').textContent = error instanceof TypeError ? 'Apus does not answer' : error.message
  }
}

// MARK: The browser's own call

let talk = null // {pc, id, stream, context, what}

function tell(text) { find('state').textContent = text?.message ?? text }

function switchControls(isTalking) {
  for (const id of ['echo', 'record', 'dial']) find(id).hidden = isTalking
  find('end').hidden = find('microphone').hidden = !isTalking
}

async function begin(what, to) {
  if (talk) return
  switchControls(true)
  tell('asking for the microphone…')
  const own = talk = {what, to}
  try {
    own.stream = await navigator.mediaDevices.getUserMedia(
      {audio: what == 'sip' ? true : {echoCancellation: false, autoGainControl: false, noiseSuppression: false}})
    // He has hung up while the browser asked him: what he allowed is not wanted any more.
    if (talk != own) return own.stream.getTracks().forEach(track => track.stop())
    const pc = own.pc = new RTCPeerConnection()
    pc.addTransceiver(own.stream.getAudioTracks()[0], {streams: [own.stream]})
    pc.ontrack = event => find('sound').srcObject = event.streams[0] ?? new MediaStream([event.track])
    pc.onconnectionstatechange = () => {
      if (pc.connectionState == 'connected' && what != 'sip') tell(what == 'echo' ? 'You hear yourself.' : 'Recording…')
      if (['failed', 'closed'].includes(pc.connectionState)) finish('The connection is gone.')
    }
    own.context = new AudioContext()
    own.analyser = own.context.createAnalyser()
    own.context.createMediaStreamSource(own.stream).connect(own.analyser)
    await pc.setLocalDescription()
    if (pc.iceGatheringState != 'complete') await new Promise(done => {
      pc.onicegatheringstatechange = () => pc.iceGatheringState == 'complete' && done()
    })
    const response = await ask('/talks', {
      method: 'POST', headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({with: what, to, offer: pc.localDescription.sdp})})
    const {id, answer} = await response.json()
    own.id = id
    if (talk != own) return ask(`/talks/${id}`, {method: 'DELETE'})
    await pc.setRemoteDescription({type: 'answer', sdp: answer})
  } catch (error) {
    if (talk == own) finish(error.message)
  }
}

// Twice a second: how loud one is, and what has become of whom one called.
async function follow() {
  const own = talk
  if (own.analyser) {
    const wave = new Float32Array(own.analyser.fftSize)
    own.analyser.getFloatTimeDomainData(wave)
    const power = wave.reduce((sum, each) => sum + each * each, 0) / wave.length
    meter(find('microphone'), power > 0 ? Math.max(10 * Math.log10(power), -96) : null)
  }
  if (!own.id) return
  const now = await ask(`/talks/${own.id}`).then(response => response.json(), error => {
    // The talk is over when Apus knows it no more; any other failure says nothing about it.
    if (error.status != 404) throw error
    return null
  })
  if (talk != own) return
  if (!now) return finish(own.what == 'sip' ? 'The call is over.' : 'Over.')
  if (now.failure) return finish(now.failure)
  if (own.what == 'sip') tell(now.partner == null ? `Looking up ${own.to}…` : `Call ${now.partner} to ${own.to}.`)
}

async function finish(text) {
  const own = talk
  if (!own) return
  talk = null
  own.pc?.close()
  own.stream?.getTracks().forEach(track => track.stop())
  own.context?.close()
  find('sound').srcObject = null
  switchControls(false)
  tell(text)
  if (own.id) await ask(`/talks/${own.id}`, {method: 'DELETE'}).catch(() => {})
  if (own.what == 'record') await list()
}

// Names only: the sound of one is fetched when somebody wants to hear it.
async function list() {
  const {recordings} = await (await ask('/recordings')).json()
  for (const item of find('recordings').children) {
    if (!recordings.includes(item.id)) URL.revokeObjectURL(item.querySelector('audio').src)
  }
  find('recordings').replaceChildren(...recordings.map((name, index) => find(name) ?? recorded(name, recordings.length - index)))
}

function recorded(name, number) {
  const item = find('recording').content.cloneNode(true).firstElementChild
  const [button, audio, link] = ['button', 'audio', 'a'].map(each => item.querySelector(each))
  item.id = name
  item.querySelector('span').textContent = `recording ${number}`
  button.onclick = async () => {
    button.disabled = true
    try {
      audio.src = link.href = URL.createObjectURL(await (await ask(`/recordings/${name}`)).blob())
      button.hidden = true
      audio.hidden = link.hidden = false
      await audio.play()
    } catch (error) {
      tell(error)
    }
    button.disabled = false
  }
  return item
}

find('echo').onclick = () => begin('echo')
find('record').onclick = () => begin('record')
find('dial').onsubmit = event => {
  event.preventDefault()
  begin('sip', find('target').value.trim())
}
find('end').onclick = () => finish('Over.')
addEventListener('pagehide', () => talk?.id && ask(`/talks/${talk.id}`, {method: 'DELETE', keepalive: true}))

setInterval(look, PERIOD)
look().then(list).catch(() => {})
