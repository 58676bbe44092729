package import Runtime

/// What a command is called, by people and by programs; names and keys are baresip's where it has the command.
public struct CommandDescription: Hashable, Sendable {
  /// When a command can be used.
  public enum Scope: Sendable {
    case always
    /// While there is a call.
    case inCall
  }

  /// Typed after a slash, or sent by `ctrl_tcp`.
  public let name: String
  /// Typed alone, or in front of the parameters; nil for none.
  public let key: Character?
  /// What comes after the name, for the help; empty when nothing does.
  public let parameters: String
  /// One line, without a full stop.
  public let help: String
  public let scope: Scope

  public init(_ name: String, key: Character? = nil, parameters: String = "", scope: Scope = .always, help: String) {
    self.name = name
    self.key = key
    self.parameters = parameters
    self.scope = scope
    self.help = help
  }
}

/// A command did not do what it was asked: one sentence for whoever gave it.
public struct CommandFailure: Error, Hashable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// A command that a module brings.
public struct ModuleCommand: Sendable {
  public let description: CommandDescription
  /// Carries it out, on main, without blocking; gives what is to be shown.
  package let run: @Sendable (_ parameters: String, _ host: any CommandHost) throws(CommandFailure) -> String

  /// - Parameter run: called on main; it must not block.
  public init(
    _ description: CommandDescription, run: @escaping @Sendable (_ parameters: String) throws(CommandFailure) -> String
  ) {
    self.init(description) { parameters, _ throws(CommandFailure) in try run(parameters) }
  }

  /// One that asks its agent for something.
  package init(
    _ description: CommandDescription,
    run: @escaping @Sendable (_ parameters: String, _ host: any CommandHost) throws(CommandFailure) -> String
  ) {
    self.description = description
    self.run = run
  }
}

/// What a module's command may ask of its agent; on main.
package protocol CommandHost: AnyObject {
  /// The current call's stream; nil where there is no call, or it has no media yet.
  var currentStream: StreamID? { get }
  /// Main itself, for commands whose work is done on threads of its own.
  var main: EventLoop { get }
  /// Whom TLS trusts.
  var security: SIPSecurity { get }
  /// Makes a call without SIP, with DTLS-SRTP, ICE and BUNDLE, as the first account, or the config, says.
  ///
  /// - Parameters:
  ///   - peer: what the call is called in reports.
  ///   - carrier: brings its offer to the peer when candidates are gathered; kept until the call is over.
  /// - Returns: what is to be shown.
  func call(_ peer: String, receivesOnly: Bool, by carrier: any CallCarrier) throws(CommandFailure) -> String
  /// Another source in a stream's format, admitted as its own is.
  ///
  /// - Returns: what the stream's owner calls.
  func source(_ device: AudioDevice, for stream: StreamID) throws(CommandFailure) -> StageFactory
}

/// What a command came to.
public struct CommandResult: Hashable, Sendable {
  public let isOK: Bool
  /// What it shows, or why it failed.
  public let text: String

  public init(isOK: Bool, text: String) {
    self.isOK = isOK
    self.text = text
  }
}
