internal import ModuleKit
internal import UACore

/// What a person at `apus run` sees and types: baresip's command names and keys.
actor Console {
  private let agent: UserAgent
  private let accounts: [CallSettings]
  private let contacts: [Contact]
  private let stop: StopFlag
  /// Calls that exist, oldest first; the last one is the current one.
  private var calls: [CallID] = []
  private var lastDialled: String?

  init(agent: UserAgent, accounts: [CallSettings], contacts: [Contact], stop: StopFlag) {
    self.agent = agent
    self.accounts = accounts
    self.contacts = contacts
    self.stop = stop
  }

  // MARK: Commands

  /// Carries out `/name parameters`, or a key with its parameters behind it.
  func execute(_ line: String) async {
    let text = line.drop { $0 == " " || $0 == "\t" }
    guard let first = text.first else { return }
    if first == "/" {
      let parts = text.dropFirst().split(separator: " ", maxSplits: 1)
      guard let name = parts.first else { return }
      let parameters = parts.count > 1 ? String(parts[1]) : ""
      guard let command = Command.allCases.first(where: { $0.rawValue == name }) else {
        return self.say("there is no command /\(name); /help lists them")
      }
      return await self.execute(command, parameters)
    }
    if let command = Command.allCases.first(where: { $0.key == first }) {
      return await self.execute(command, text.dropFirst().drop { $0 == " " }.description)
    }
    if text.allSatisfy({ "0123456789*#".contains($0) }), let call = self.calls.last {
      return await self.agent.send(digits: String(text), on: call)
    }
    self.say("there is no key \(first); /help lists them")
  }

  private func execute(_ command: Command, _ parameters: String) async {
    switch command {
    case .dial: await self.dial(parameters)
    case .quit: await self.stop.set()
    case .help: for each in Command.allCases { self.say("/\(each.rawValue)  \(each.key)  \(each.help)") }
    case .listcalls, .callstat: await self.list()
    case .hangupall: await self.hangUpAll()
    case .accept, .hangup, .hold, .resume, .mute, .unmute, .rekey, .sndcode:
      guard let call = self.calls.last else { return self.say("there is no call") }
      await self.execute(command, parameters, on: call)
    }
  }

  private func execute(_ command: Command, _ parameters: String, on call: CallID) async {
    switch command {
    case .accept: await self.agent.answer(call)
    case .hangup: await self.agent.hangUp(call)
    case .hold: await self.agent.setHold(call, true)
    case .resume: await self.agent.setHold(call, false)
    case .mute: await self.agent.mute(call, true)
    case .unmute: await self.agent.mute(call, false)
    case .sndcode: await self.agent.send(digits: parameters, on: call)
    case .rekey:
      if await !self.agent.rekey(call) { self.say("this call's keys can't be changed now") }
    case .dial, .quit, .help, .listcalls, .callstat, .hangupall: break
    }
  }

  private func dial(_ parameters: String) async {
    let target = parameters.isEmpty ? self.lastDialled ?? "" : parameters
    guard !target.isEmpty else { return self.say("/dial needs a SIP URI, for example /dial sip:bob@192.0.2.1") }
    guard let account = self.accounts.first else {
      return self.say("there is no account to call from: add one to the accounts file")
    }
    self.lastDialled = target
    do {
      let call = try await self.agent.call(target, settings: account)
      self.calls.append(call)
      self.say("call \(call): calling \(target)")
    } catch {
      self.say(Failure(error).message)
    }
  }

  private func list() async {
    await self.agent.refreshStatistics()
    let reports = await self.agent.reports
    if reports.isEmpty { self.say("there is no call") }
    for report in reports {
      let media = report.media
      self.say(
        "call \(report.id): \(report.state.rawValue) \(report.peer), \(report.codec ?? "no codec"), "
          + "\(report.mediaEncryption), sent \(media.sentPackets), received \(media.receivedPackets), "
          + "lost \(media.lost), dropped \(media.drops.total)")
    }
  }

  private func hangUpAll() async {
    for call in self.calls { await self.agent.hangUp(call) }
  }

  // MARK: Events

  func show(_ event: AgentEvent) {
    switch event {
    case .incoming(let call, let from):
      if !self.calls.contains(call) { self.calls.append(call) }
      self.say("call \(call): incoming from \(from); /accept or /hangup")
    case .ringing(let call): self.say("call \(call): ringing")
    case .progress(let call, let status): self.say("call \(call): progress \(status)")
    case .established(let call): self.say("call \(call): established")
    case .secured(let call, let profile): self.say("call \(call): secured by \(profile)")
    case .mediaEstablished(let call): self.say("call \(call): the peer is heard")
    case .digit(let call, let digit): if let digit { self.say("call \(call): digit \(digit)") }
    case .held(let call, let isHeld): self.say("call \(call): \(isHeld ? "held" : "resumed") by the peer")
    case .sourceEnded(let call): self.say("call \(call): the sound file is played")
    case .warning(let call, let text): self.say("call \(call): \(text)")
    case .ended(let report):
      self.calls.removeAll { $0 == report.id }
      let media = report.media
      let why = report.failure?.message ?? report.reason
      self.say(
        "call \(report.id): ended, \(why); \(decimal(report.duration)) s, sent \(media.sentPackets), "
          + "received \(media.receivedPackets), lost \(media.lost), dropped \(media.drops.total)")
    }
  }

  private func say(_ text: String) { StandardOutput.write("\(text)\n") }
}

/// The commands, by baresip's names, each with its key.
enum Command: String, CaseIterable {
  case accept, callstat, dial, hangup, hangupall, help, hold, listcalls, mute, quit, rekey, resume, sndcode, unmute

  /// Typed alone, or in front of the parameters.
  var key: Character {
    switch self {
    case .accept: "a"
    case .callstat: "c"
    case .dial: "d"
    case .hangup: "b"
    case .hangupall: "B"
    case .help: "h"
    case .hold: "x"
    case .listcalls: "l"
    case .mute: "m"
    case .quit: "q"
    case .rekey: "k"
    case .resume: "X"
    case .sndcode: "n"
    case .unmute: "M"
    }
  }

  var help: String {
    switch self {
    case .accept: "accept the incoming call"
    case .callstat: "show the calls' figures"
    case .dial: "call a SIP URI; without one, the last again"
    case .hangup: "end the current call"
    case .hangupall: "end every call"
    case .help: "this list"
    case .hold: "hold the current call"
    case .listcalls: "list the calls"
    case .mute: "send silence"
    case .quit: "end every call, and the program"
    case .rekey: "change the current call's keys"
    case .resume: "resume the current call"
    case .sndcode: "send digits (0-9 * # A-D) as telephone events"
    case .unmute: "send sound again"
    }
  }
}
