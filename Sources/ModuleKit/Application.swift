package import Runtime

/// Makes the application part of a module: one that gives commands and hears what happens.
package protocol ApplicationProvider: Sendable {
  /// - Parameter host: outlives the application.
  /// - Throws: when it can't start, for example because its port is taken.
  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application
  /// Throws what `start` would for its settings and their files; opens nothing.
  func rehearse() throws(ModuleError)
  /// What whoever runs the agent is told once it has started, the key first; nil for nothing.
  var warning: String? { get }
}

extension ApplicationProvider {
  package func rehearse() throws(ModuleError) {}
  package var warning: String? { nil }
}

/// A running application; lives on main.
package protocol Application: AnyObject {
  /// Told, on main, of everything that happens, in order.
  func take(_ notice: AgentNotice)
  /// Nothing of it runs once this has returned.
  func stop()
}

/// What an application may ask of its agent; on main.
package protocol ApplicationHost: AnyObject {
  /// Carries out a command by its long name.
  func execute(command name: String, parameters: String) -> CommandResult
  /// Shows a sentence to whoever runs the agent.
  func warn(_ text: String)

  /// Tells every application something that a module has noticed of a stream's call; nothing when that is over.
  func tell(_ kind: AgentNotice.Kind, of stream: StreamID, parameter: String)
  /// Whether there is any call.
  var hasCalls: Bool { get }

  /// Main itself, for applications that have threads of their own.
  var main: EventLoop { get }
  /// Makes a call without SIP of a peer's offer, with DTLS-SRTP, ICE and BUNDLE, and the agent's sound.
  ///
  /// - Parameters:
  ///   - peer: what the call is called in reports.
  ///   - sound: nil as the account, or the config, says.
  ///   - then: told, once, at once or when the account's STUN and TURN servers were asked; the failure is of kind `peer` where
  ///     the offer can't be used, `unavailable` where there is no room for another call.
  func answer(
    _ offer: [UInt8], from peer: String, sound: CallSound?, then: @escaping (Result<AnsweredCall, ModuleError>) -> Void)
  /// The answer to a later offer of that peer's; what was agreed before stands where there is none.
  func answerAgain(
    _ offer: [UInt8], in call: UInt64, then: @escaping (Result<[UInt8], ModuleError>) -> Void)
  /// Makes a call by SIP, from the current account, to what a person typed: a URI, a number, or a contact's name. Other
  /// calls are not put on hold.
  ///
  /// - Parameter then: told, once, at once or when the name was looked up, which call it is, or why there is none.
  func dial(_ typed: String, sound: CallSound, then: @escaping (Result<UInt64, CommandFailure>) -> Void)
  /// Whether a call still stands.
  func isOpen(_ call: UInt64) -> Bool
  /// Ends it, if it does.
  func hangUp(_ call: UInt64)
  /// Every call there is, as `--json` prints it; its figures are no older than the last time that this was asked, or a second.
  var callReports: [(call: UInt64, report: JSON)] { get }
}

/// A call of a peer's offer, and our answer.
package struct AnsweredCall: Hashable, Sendable {
  package var call: UInt64
  package var answer: [UInt8]

  package init(call: UInt64, answer: [UInt8]) { (self.call, self.answer) = (call, answer) }
}

/// Where a call's sound comes from, and where it goes.
package struct CallSound: Hashable, Sendable {
  /// Nil: silence.
  package var source: AudioDevice?
  /// Nil: nothing is played.
  package var player: AudioDevice?

  package init(source: AudioDevice?, player: AudioDevice?) { (self.source, self.player) = (source, player) }
}
