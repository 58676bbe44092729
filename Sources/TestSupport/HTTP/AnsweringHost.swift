package import Handoff
package import ModuleKit
package import Runtime

/// An agent that answers every offer but `refused`, and calls everybody but `nobody`; it writes down what it was asked.
package final class AnsweringHost: ApplicationHost {
  package let main: EventLoop
  private let log: Locked<[String]>
  private var calls: Set<UInt64> = []
  private var count: UInt64 = 0
  private var answers = 0

  package init(_ main: EventLoop, _ log: Locked<[String]>) { (self.main, self.log) = (main, log) }

  package func execute(command name: String, parameters: String) -> CommandResult {
    CommandResult(isOK: false, text: name)
  }

  package func warn(_ text: String) { self.note("warning: \(text)") }

  package func tell(_ kind: AgentNotice.Kind, of stream: StreamID, parameter: String) {
    self.note("\(kind.rawValue) \(stream.number): \(parameter)")
  }

  package var hasCalls: Bool { !self.calls.isEmpty }

  package func answer(
    _ offer: [UInt8], from peer: String, sound: CallSound?, then: @escaping (Result<AnsweredCall, ModuleError>) -> Void
  ) {
    guard offer != Array("refused".utf8) else { return then(.failure(ModuleError(.peer, "no such offer"))) }
    let call = self.begin()
    self.note("answer \(call) for \(peer)\(Self.text(of: sound))")
    then(.success(AnsweredCall(call: call, answer: self.description)))
  }

  package func answerAgain(
    _ offer: [UInt8], in call: UInt64, then: @escaping (Result<[UInt8], ModuleError>) -> Void
  ) {
    self.note("answer \(call) again")
    self.answers += 1
    then(.success(self.description))
  }

  package func dial(_ typed: String, sound: CallSound, then: @escaping (Result<UInt64, CommandFailure>) -> Void) {
    guard typed != "nobody" else { return then(.failure(CommandFailure("nobody is not a SIP URI"))) }
    let call = self.begin()
    self.note("dial \(call) to \(typed)\(Self.text(of: sound))")
    then(.success(call))
  }

  package func isOpen(_ call: UInt64) -> Bool { self.calls.contains(call) }

  package func hangUp(_ call: UInt64) { if self.calls.remove(call) != nil { self.note("hang up \(call)") } }

  package var callReports: [(call: UInt64, report: JSON)] {
    self.calls.sorted().map { ($0, ["peer": "sip:bob@192.0.2.1"]) }
  }

  private func begin() -> UInt64 {
    self.count += 1
    self.calls.insert(self.count)
    return self.count
  }

  private func note(_ text: String) { self.log.withLock { $0.append(text) } }

  /// Begins ICE anew each time.
  private var description: [UInt8] {
    let lines = [
      "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "m=audio 4000 UDP/TLS/RTP/SAVPF 111",
      "c=IN IP4 127.0.0.1", "a=mid:0", "a=ice-ufrag:ours\(self.answers)", "a=ice-pwd:0123456789012345678901",
      "a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  private static func text(of sound: CallSound?) -> String {
    guard let sound else { return "" }
    let player = sound.player.map { $0.driver == "aufile" ? "aufile" : $0.description }
    return ", \(sound.source?.description ?? "silence") to \(player ?? "nowhere")"
  }
}
