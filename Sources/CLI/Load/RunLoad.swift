internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// `apus load`: many calls at once.
func runLoad(_ options: LoadCommand) async throws {
  if let address = options.answer { return try await answerAll(options, address) }
  let media = options.media
  let began = Clock.now
  let stop = StopFlag.onSignal()
  let agents = try LoadAgents(options)
  let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
  let isLocal = options.target == nil
  let account = agents.account("sip:load@\(isLocal ? "127.0.0.1" : "localhost")", isLocal: isLocal)
  let callee = isLocal ? try await agents.start(listen: loopback, side: 1, name: "callee") : nil
  try await callee?.setAccounts([account])
  let caller = try await agents.start(
    listen: isLocal ? loopback : SocketAddress(ipv4: 0, port: 0), side: 0, name: "caller")
  let (callerWatch, calleeWatch) = (CallWatch(), CallWatch())
  let following = [
    Task { await callerWatch.follow(caller) },
    Task { if let callee { await calleeWatch.follow(callee) } },
  ]
  let port = await callee?.listenAddress?.port ?? 0
  let target = options.target ?? "sip:load@127.0.0.1:\(port)"

  let residentBefore = ProcessUsage.resident
  let progress = LoadProgress(agent: caller, watch: callerWatch, delays: agents.delays, asked: options.callCount)
  let showing = media.json ? nil : Task { await progress.run() }
  let placingBegan = Clock.now
  let (placed, failure) = await place(options, caller, target, account, stop)
  await answers(to: placed, caller, callerWatch, stop)
  let placingTime = Clock.now - placingBegan
  let over = StopFlag.onEnd(.count(placed.count), of: callerWatch)
  let rekeying = media.rekeyEvery.map { every in rekey(placed, caller, milliseconds: every) } ?? []
  // The first packets and handshakes of the last calls are over when the measurement begins.
  let hasSettled = failure == nil ? await !Interrupt.sleep(seconds: 1, unless: stop, over) : false
  let (cpuBefore, measured) = (ProcessUsage.now.cpu, Clock.now)
  let (receivedBefore, tickedBefore) = (agents.delays.receive.counts, agents.delays.tick.counts)
  let residentWithCalls = ProcessUsage.resident
  if failure == nil { _ = await Interrupt.sleep(seconds: media.seconds ?? 10, unless: stop, over) }
  let (cpu, seconds) = (ProcessUsage.now.cpu - cpuBefore, Clock.now - measured)
  let alive = await caller.callTotals().established
  let received = agents.delays.receive.counts.since(receivedBefore)
  let ticked = agents.delays.tick.counts.since(tickedBefore)
  for task in rekeying {
    task.cancel()
    await task.value
  }
  await hangUp(placed, caller)
  for call in placed { await callerWatch.wait(.ended(call)) }
  if callee != nil { await calleeWatch.wait(.count(calleeWatch.begun)) }
  showing?.cancel()
  await showing?.value
  await caller.shutDown()
  await callee?.shutDown()
  for task in following { await task.value }
  agents.stop()
  if let failure { throw failure }

  var result = LoadResult(options, reports: await callerWatch.reports, peerReports: await calleeWatch.reports)
  result.wasInterrupted = await stop.isSet
  result.take(cpu: cpu, seconds: seconds, calls: alive, hasSettled: hasSettled)
  result.residentPerCall = placed.isEmpty ? nil : (residentWithCalls - residentBefore) / placed.count
  result.placingTime = placingTime
  (result.receiveDelays, result.tickDelays) = (Histogram(received), Histogram(ticked))
  result.show(began: began)
  if !result.isGood { throw result.verdict.reported }
}

/// Places the calls as planned; those placed when a signal comes are the last.
///
/// - Returns: what was placed, and why there was no more where one could not be made at all.
private func place(
  _ options: LoadCommand, _ caller: UserAgent, _ target: String, _ account: CallSettings, _ stop: StopFlag
) async -> (calls: [CallID], failure: Failure?) {
  var placed: [CallID] = []
  let start = Clock.now
  for due in LoadPlan(calls: options.callCount, rate: options.callRate, packetTime: account.packetTime).starts {
    let wait = start + due - Clock.now
    if wait > 0 { _ = await Interrupt.sleep(seconds: wait, unless: stop) }
    if await stop.isSet { break }
    do { placed.append(try await caller.call(target, settings: account)) } catch { return (placed, Failure(error)) }
  }
  return (placed, nil)
}

/// Changes the keys of all calls again and again; the calls' turns are spread over the period.
private func rekey(_ calls: [CallID], _ agent: UserAgent, milliseconds: Int) -> [Task<Void, Never>] {
  calls.enumerated().map { index, call in
    Task {
      let turn = Double(index) / Double(calls.count) * Double(milliseconds) / 1000
      try? await Task.sleep(for: .seconds(turn))
      if !Task.isCancelled { await Rekeying.run(agent, call, milliseconds: milliseconds) }
    }
  }
}

/// Ends the calls one after the other: all in one moment would be a storm that no peer meets in real life.
private func hangUp(_ calls: [CallID], _ agent: UserAgent) async {
  for call in calls {
    await agent.hangUp(call)
    try? await Task.sleep(for: .milliseconds(1))
  }
}

/// Answers everything until a signal comes.
private func answerAll(_ options: LoadCommand, _ uri: String) async throws {
  let media = options.media
  let stop = StopFlag.onSignal()
  guard let account = Account(uri: uri),
    let listen = SocketAddress(host: account.address.host, port: account.address.port ?? 5060)
  else { throw Failure(.usage, "--answer \(uri): it takes an address to listen on, for example sip:127.0.0.1:5090") }
  let began = Clock.now
  let agents = try LoadAgents(options)
  let agent = try await agents.start(listen: listen, side: 1, name: "main") { error, _ in
    // The module's sentence names keys of a config, and there is none.
    guard (error as? ModuleError)?.kind == .unavailable else { return Failure(error) }
    return Failure(
      .unavailable,
      "--answer \(uri): cannot listen on \(listen): it takes an address of this machine, and a port that is free")
  }
  let watch = CallWatch()
  let following = Task { await watch.follow(agent) }
  try await agent.setAccounts([agents.account(account.address.aor, isLocal: false)])
  if !media.json { StandardError.write("answering on \(await agent.listenAddress ?? listen); Ctrl-C ends\n") }
  let progress = LoadProgress(agent: agent, watch: watch, delays: agents.delays, asked: nil)
  let showing = media.json ? nil : Task { await progress.run() }
  if let seconds = media.seconds {
    _ = await Interrupt.sleep(seconds: seconds, unless: stop)
  } else {
    await stop.wait()
  }
  showing?.cancel()
  await showing?.value
  let (receiveDelays, tickDelays) = (agents.delays.receive.counts, agents.delays.tick.counts)
  await agent.shutDown()
  await following.value
  agents.stop()
  var result = LoadResult(options, reports: await watch.reports, peerReports: [])
  (result.receiveDelays, result.tickDelays) = (Histogram(receiveDelays), Histogram(tickDelays))
  result.show(began: began)
  if !result.isGood { throw result.verdict.reported }
}
