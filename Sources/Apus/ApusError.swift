internal import ModuleKit

/// Why something could not be done: a code for programs, a sentence for people.
public struct ApusError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble.
  public enum Code: Sendable {
    /// A setting or an argument is wrong.
    case configuration
    /// An input file is missing.
    case noInput
    /// An output file can't be written.
    case cannotCreate
    /// A port is taken, the peer is not there, or it does not answer.
    case unavailable
    /// The peer refused, or the call ended badly.
    case refused
    /// The task that waited was cancelled; what it waited for goes on.
    case cancelled
  }

  /// What kind of trouble.
  public let code: Code
  /// What, where and what to change.
  public let message: String

  /// The message.
  public var description: String { self.message }

  init(_ code: Code, _ message: String) {
    (self.code, self.message) = (code, message)
  }

  init(_ error: any Error) {
    switch error {
    case let error as ApusError: self = error
    case let error as ModuleError:
      let code: Code =
        switch error.kind {
        case .configuration: .configuration
        case .noInput: .noInput
        case .cannotCreate: .cannotCreate
        case .unavailable, .exhausted: .unavailable
        case .peer: .refused
        }
      self.init(code, error.message)
    case is CancellationError: self.init(.cancelled, "the task that waited was cancelled")
    default: self.init(.configuration, "\(error)")
    }
  }
}
