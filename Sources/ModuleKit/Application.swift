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
  /// - Parameter peer: what the call is called in reports.
  /// - Throws: kind `peer` where the offer can't be used, `unavailable` where there is no room for another call.
  func answer(_ offer: [UInt8], from peer: String) throws(ModuleError) -> (call: UInt64, answer: [UInt8])
  /// Whether such a call still stands.
  func isOpen(_ call: UInt64) -> Bool
  /// Ends it, if it does.
  func hangUp(_ call: UInt64)
}
