internal import Glibc
internal import ModuleKit
internal import UACore

/// What a person at `apus run` sees and types.
actor Console {
  private let agent: UserAgent
  private let stop: StopFlag
  private var editor = KeyEditor()
  /// The line at the bottom: what is being typed, or figures of calls.
  private var bottom = StatusLine()
  private var status = ""
  private let hasColour = Terminal(STDOUT_FILENO).hasColour

  init(agent: UserAgent, stop: StopFlag) {
    self.agent = agent
    self.stop = stop
  }

  /// Carries out a line: `/name parameters`, a key with its parameters behind it, or digits.
  func execute(_ line: String) async {
    let result = await self.agent.execute(line)
    guard !result.text.isEmpty else { return }
    let text = result.text.withoutControls(keepsStyles: true)
    self.write(self.hasColour ? text : text.withoutStyles)
  }

  /// Takes keys from a terminal.
  func take(_ piece: String) async {
    for key in KeyEditor.keys(in: piece) {
      guard await !self.stop.isSet else { return }
      switch self.editor.take(key) {
      case .nothing: break
      case .line(let line): await self.execute(typed: line)
      case .key(let key):
        switch await self.agent.meaning(ofKey: key) {
        case .line(let line): await self.execute(line)
        case .start(let text): self.editor.begin(text)
        case .nothing: self.say("there is no such key; h lists them")
        }
      }
      self.showBottom()
    }
  }

  /// A line that was typed stays to be seen, where it was typed: it may have a password.
  private func execute(typed line: String) async {
    self.bottom.print("> \(line)")
    await self.execute(line)
  }

  func show(_ event: AgentEvent) async {
    switch event {
    case .incoming(let call, let from, let answersItself):
      self.say("call \(call): incoming from \(from)\(answersItself ? "" : "; /accept or /hangup")")
    case .ringing(let call): self.say("call \(call): ringing")
    case .progress(let call, let status): self.say("call \(call): progress \(status)")
    case .established(let call): self.say("call \(call): established")
    case .secured(let call, let profile): self.say("call \(call): secured by \(profile)")
    case .mediaEstablished(let call): self.say("call \(call): the peer is heard")
    case .digit(let call, let digit): if let digit { self.say("call \(call): digit \(digit)") }
    case .held(let call, let isHeld): self.say("call \(call): \(isHeld ? "held" : "resumed") by the peer")
    case .transfer(let call, let target): self.say("call \(call): transferred to \(target)")
    case .transferFailed(let call, let reason): self.say("call \(call): the transfer failed: \(reason)")
    case .sourceEnded(let call): self.say("call \(call): the sound file is played")
    case .warning(let call, let text): self.say("call \(call): \(text)")
    case .registration(let account, let state): self.say("\(account): \(Self.advised(state.text))")
    case .messageWaiting(let account, let text): self.say("\(account): mailbox \(text)")
    case .contact(let uri, let package, let from, let to):
      self.say("<\(uri)> changed \(package == .presence ? "status" : "calls") from \(from) to \(to)")
    case .message(_, let from, _, let text): self.say("message from \(from): \(text.replacing("\n", with: "\n  "))")
    case .output(let text): self.say(text)
    case .status(let text):
      self.status = text
      self.showBottom()
    case .logLevel: break
    case .quit: await self.stop.set()
    case .outgoing, .lateCandidates: break
    case .ended(let report):
      let media = report.media
      let why = Self.advised(report.failure?.message ?? report.reason)
      self.say(
        "call \(report.id): ended, \(why); \(decimal(report.duration)) s, sent \(media.sentPackets), "
          + "received \(media.receivedPackets), lost \(media.lost), dropped \(report.dropped)"
          + (report.video.map { ", \($0.encodingName) \($0.line)" } ?? ""))
    }
  }

  /// With what helps where nobody has given a password.
  static func advised(_ reason: String) -> String {
    reason.hasSuffix("wants a password") ? "\(reason): add ;auth_pass=PASSWORD to the account" : reason
  }

  /// What a peer has sent of it can't steer the terminal.
  private func say(_ text: String) { self.write(text.withoutControls()) }

  private func write(_ text: String) {
    self.bottom.clear()
    StandardOutput.write("\(text)\n")
    self.showBottom()
  }

  private func showBottom() { self.bottom.update(self.editor.line.map { "> \($0)" } ?? self.status) }
}
