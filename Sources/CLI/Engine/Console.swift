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
    self.say(self.hasColour ? text : text.withoutStyles)
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

  /// What a peer has sent of it can't steer the terminal.
  func show(_ event: AgentEvent) async {
    switch event {
    case .incoming(let call, let from, let answersItself):
      self.tell("call \(call): incoming from \(from)\(answersItself ? "" : "; /accept or /hangup")")
    case .ringing(let call): self.tell("call \(call): ringing")
    case .progress(let call, let status): self.tell("call \(call): progress \(status)")
    case .established(let call): self.tell("call \(call): established")
    case .secured(let call, let profile): self.tell("call \(call): secured by \(profile)")
    case .mediaEstablished(let call): self.tell("call \(call): the peer is heard")
    case .digit(let call, let digit): if let digit { self.tell("call \(call): digit \(digit)") }
    case .held(let call, let isHeld): self.tell("call \(call): \(isHeld ? "held" : "resumed") by the peer")
    case .transfer(let call, let target): self.tell("call \(call): transferred to \(target)")
    case .transferFailed(let call, let reason): self.tell("call \(call): the transfer failed: \(reason)")
    case .sourceEnded(let call): self.tell("call \(call): the sound file is played")
    case .warning(let call, let text): self.tell("call \(call): \(text)")
    case .registration(let account, let state): self.tell("\(account): \(Self.advised(state.text))")
    case .messageWaiting(let account, let text): self.tell("\(account): mailbox \(text)")
    case .contact(let uri, let package, let from, let to):
      self.tell("<\(uri)> changed \(package == .presence ? "status" : "calls") from \(from) to \(to)")
    case .message(_, let from, _, let text): self.tell("message from \(from): \(text.replacing("\n", with: "\n  "))")
    case .output(let text): self.tell(text)
    case .status(let text):
      self.status = text
      self.showBottom()
    case .logLevel: break
    case .quit: await self.stop.set()
    case .outgoing, .lateCandidates: break
    case .ended(let report):
      let media = report.media
      let why = Self.advised(report.failure?.message ?? report.reason)
      self.tell(
        "call \(report.id): ended, \(why); \(decimal(report.duration)) s, sent \(media.sentPackets), "
          + "received \(media.receivedPackets), lost \(media.lost), dropped \(report.dropped)"
          + (report.video.map { ", \($0.encodingName) \($0.line)" } ?? ""))
    }
  }

  /// With what helps where nobody has given a password.
  static func advised(_ reason: String) -> String {
    reason.hasSuffix("wants a password") ? "\(reason): add ;auth_pass=PASSWORD to the account" : reason
  }

  private func tell(_ text: String) { self.say(text.withoutControls()) }

  private func say(_ text: String) {
    self.bottom.clear()
    StandardOutput.write("\(text)\n")
    self.showBottom()
  }

  private func showBottom() { self.bottom.update(self.editor.line.map { "> \($0)" } ?? self.status) }
}
