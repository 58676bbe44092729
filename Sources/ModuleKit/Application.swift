package import Runtime

/// Makes the application part of a module: one that gives commands and hears what happens.
package protocol ApplicationProvider: Sendable {
  /// - Parameter host: outlives the application.
  /// - Throws: when it can't start, for example because its port is taken.
  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application
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

  /// Main itself, for applications that have threads of their own.
  var main: EventLoop { get }
  /// Makes a call without SIP of a peer's offer, with DTLS-SRTP, ICE and BUNDLE, and the agent's sound.
  ///
  /// - Parameters:
  ///   - peer: what the call is called in reports.
  ///   - sound: nil as the account, or the config, says.
  /// - Throws: kind `peer` where the offer can't be used, `unavailable` where there is no room for another call.
  func answer(
    _ offer: [UInt8], from peer: String, sound: CallSound?
  ) throws(ModuleError) -> (call: UInt64, answer: [UInt8])
  /// The answer to a later offer of that peer's; what was agreed before stands where it throws.
  func answerAgain(_ offer: [UInt8], in call: UInt64) throws(ModuleError) -> [UInt8]
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

/// Where a call's sound comes from, and where it goes.
package struct CallSound: Hashable, Sendable {
  /// Nil: silence.
  package var source: AudioDevice?
  /// Nil: nothing is played.
  package var player: AudioDevice?

  package init(source: AudioDevice?, player: AudioDevice?) { (self.source, self.player) = (source, player) }
}
