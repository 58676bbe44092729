internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// `apus load`: many calls at once.
func runLoad(_ options: LoadCommand) async throws {
  raiseDescriptorLimit()
  if let address = options.answer { return try await answerAll(options, address) }
  let media = options.media
  let began = Clock.now
  let stop = StopFlag.onSignal()
  let pool = (media.rxmode ?? .pool) == .pool ? LoopPool(count: processorCount(), name: "rtp-pool") : nil
  let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
  let isLocal = options.to == nil
  let listen = isLocal ? loopback : SocketAddress(ipv4: 0, port: 0)
  let settings = AgentFactory.settings(media, listen: listen, mode: .pool)
  let speech = AudioDevice(driver: "aufile", device: try ShippedSpeech.path())
  let account = AgentFactory.call(
    media, identity: "sip:load@\(isLocal ? "127.0.0.1" : "localhost")", encryption: .none, usesRTCPMux: isLocal,
    source: speech, player: nil)
  let callee = isLocal ? try await AgentFactory.start(settings, pool: pool, name: "callee") : nil
  try await callee?.setAccounts([account])
  let caller = try await AgentFactory.start(settings, pool: pool, name: "caller")
  let (callerWatch, calleeWatch) = (CallWatch(), CallWatch())
  let tasks = [
    Task { await callerWatch.follow(caller) },
    Task { if let callee { await calleeWatch.follow(callee) } },
  ]
  let port = await callee?.listenAddress?.port ?? 0
  let target = options.to ?? "sip:load@127.0.0.1:\(port)"

  let residentBefore = ProcessUsage.resident
  let placed = try await place(options, caller, target, account, stop)
  for call in placed { await callerWatch.wait(.answered(call)) }
  // The first packets and handshakes of the last calls are over when the measurement begins.
  _ = await Interrupt.sleep(seconds: 1, unless: stop)
  let (cpuBefore, measured) = (ProcessUsage.now.cpu, Clock.now)
  let residentWithCalls = ProcessUsage.resident
  _ = await Interrupt.sleep(seconds: media.seconds ?? 10, unless: stop)
  let (cpu, seconds) = (ProcessUsage.now.cpu - cpuBefore, Clock.now - measured)
  let alive = await caller.reports.count { $0.state == .established }
  await caller.hangUpAll()
  for call in placed { await callerWatch.wait(.ended(call)) }
  if callee != nil { await calleeWatch.wait(.count(placed.count)) }
  await caller.shutDown()
  await callee?.shutDown()
  for task in tasks { await task.value }
  pool?.stop()

  let result = LoadResult(
    reports: await callerWatch.reports, peerReports: await calleeWatch.reports, asked: options.calls,
    cpuPerCallSecond: alive > 0 ? cpu * 1000 / (Double(alive) * seconds) : nil,
    residentPerCall: placed.isEmpty ? 0 : (residentWithCalls - residentBefore) / placed.count, legs: isLocal ? 2 : 1,
    placingTime: measured - began)
  result.show(json: media.json, began: began)
  if !result.isGood { throw Failure(.callFailed, "\(result.failed) of \(options.calls) calls failed") }
}

/// Places the calls at the asked rate; those placed when a signal comes are the last.
private func place(
  _ options: LoadCommand, _ caller: UserAgent, _ target: String, _ account: CallSettings, _ stop: StopFlag
) async throws -> [CallID] {
  var placed: [CallID] = []
  var line = StatusLine()
  let start = Clock.now
  for index in 0..<options.calls {
    let due = start + Double(index) / options.rate
    if due > Clock.now { try? await Task.sleep(for: .seconds(due - Clock.now)) }
    if await stop.isSet { break }
    do {
      placed.append(try await caller.call(target, settings: account))
    } catch {
      line.clear()
      throw Failure(error)
    }
    if !options.media.json { line.update("placed \(placed.count) of \(options.calls) calls") }
  }
  line.clear()
  return placed
}

/// Answers everything until a signal comes.
private func answerAll(_ options: LoadCommand, _ uri: String) async throws {
  let media = options.media
  let stop = StopFlag.onSignal()
  guard let account = Account(uri: uri),
    let listen = SocketAddress(host: account.address.host, port: account.address.port ?? 5060)
  else { throw Failure(.usage, "--answer \(uri): it takes an address to listen on, for example sip:127.0.0.1:5090") }
  let began = Clock.now
  let agent = try await AgentFactory.start(AgentFactory.settings(media, listen: listen, mode: .pool), name: "main")
  let watch = CallWatch()
  let events = Task { await watch.follow(agent) }
  try await agent.setAccounts([
    AgentFactory.call(
      media, identity: account.address.aor, encryption: .none, usesRTCPMux: false,
      source: AudioDevice(driver: "aufile", device: try ShippedSpeech.path()), player: nil)
  ])
  if !media.json { StandardError.write("answering on \(listen); Ctrl-C ends\n") }
  if let seconds = media.seconds {
    _ = await Interrupt.sleep(seconds: seconds, unless: stop)
  } else {
    await stop.wait()
  }
  await agent.shutDown()
  await events.value
  let reports = await watch.reports
  LoadResult(
    reports: reports, peerReports: [], asked: reports.count, cpuPerCallSecond: nil, residentPerCall: 0, legs: 1,
    placingTime: Clock.now - began
  ).show(json: media.json, began: began)
}

/// Two sockets a leg: the soft limit is raised to the hard one.
private func raiseDescriptorLimit() {
  var limit = rlimit()
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
