internal import AllModules
internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// `apus run`: the client, as its config folder says, until it is told to quit.
func runAgent(_ options: RunCommand) async throws {
  let folder = try loadFolder(options)
  let configuration = folder.configuration
  let (stop, signals) = (StopFlag(), Signals.first())
  let listen = configuration.listenAddress(configuration.sipListen)
  var settings = AgentSettings(available: compiledModules, configuration: configuration, listen: listen)
  settings.contacts = folder.contacts
  settings.instanceID = folder.persistentInstanceID()
  settings.reload = { () throws(CommandFailure) in
    do { return try loadFolder(options).configuration } catch { throw CommandFailure(Failure(error).message) }
  }
  settings.logLevel = options.isVerbose ? .debug : .info
  settings.showsStatus = configuration.showsStatus
  if options.tracesSIP { settings.traceSIP = { StandardError.write("\($0.withoutControls())\n") } }
  let accounts = folder.accounts.map { CallSettings(account: $0, configuration: configuration) }
  let agent = try await AgentFactory.start(settings, accounts: accounts, name: "main") { error, account in
    let problem = folder.problem(error, of: account.map { folder.accounts[$0] })
    return problem.line > 0 ? Failure(Failure(error).status, problem.description) : Failure(error)
  }
  if await !agent.hasCodec { StandardError.write("\(folder.noCodec)\n") }
  let console = Console(agent: agent, stop: stop)
  Task {
    for await number in signals {
      if number == SIGTERM { await agent.drain() }
      await stop.set()
    }
  }
  let events = Task { [first = settings.logLevel] in
    var level = first
    for await event in agent.events {
      if case .logLevel(let new) = event { level = new }
      if level == .debug { StandardError.write("\(decimal(Clock.now)) \(event)\n") }
      if event.importance >= level { await console.show(event) }
    }
  }
  let takesKeys = KeyInput.begin()
  defer { KeyInput.restore() }
  StandardError.write("apus \(apusVersion) is listening on \(await agent.listenAddress?.description ?? "nothing")\n")
  if accounts.isEmpty { StandardError.write("there is no account yet: add one to \(folder.path)/accounts\n") }
  if takesKeys { StandardError.write("/help lists the commands\n") }

  let commands = Task {
    for line in options.commands { await console.execute(line) }
    if takesKeys {
      for await piece in KeyInput.pieces() { await console.take(piece) }
    } else {
      for await line in LineInput.lines() {
        guard await !stop.isSet else { return }
        await console.execute(line)
      }
    }
  }
  if let seconds = options.quitAfter {
    _ = await Interrupt.sleep(seconds: seconds, unless: stop)
  } else {
    await stop.wait()
  }
  commands.cancel()
  await agent.shutDown()
  await events.value
  if let missing = completeRecordings() { throw Failure(.cannotCreate, missing) }
}

private func loadFolder(_ options: RunCommand) throws -> ConfigFolder {
  let path = options.folder ?? ConfigFolder.defaultPath
  var problems: [ConfigProblem] = []
  do {
    if options.folder == nil {
      let isNew = !ConfigFolder.isThere(path)
      try ConfigFolder.create(at: path, modules: compiledModules)
      if isNew { StandardError.write("made \(path)\n") }
    }
    var folder = try ConfigFolder.load(
      path: path, modules: compiledModules, preloaded: options.modules, audioPath: options.audioPath,
      problems: &problems)
    if let network = options.netInterface { folder.configuration.override(netInterface: network) }
    if options.isIPv4Only { folder.configuration.override(netAf: .ipv4) }
    if options.isIPv6Only { folder.configuration.override(netAf: .ipv6) }
    problems += folder.lacking
    let errors = problems.filter { $0.severity == .error }
    if let first = errors.first {
      let more = errors.count > 1 ? " (and \(errors.count - 1) more: apus check -f \(path))" : ""
      throw Failure(.configuration, first.description + more)
    }
    for problem in problems { StandardError.write("\(problem.description.withoutControls())\n") }
    return folder
  } catch let error as ConfigFileError {
    throw Failure(error.isMissing ? .noInput : .configuration, error.description)
  }
}
