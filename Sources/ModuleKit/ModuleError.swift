/// Why a module could not do what it was asked: one sentence for the user.
public struct ModuleError: Error, Hashable, CustomStringConvertible {
  /// What kind of trouble, for the exit code.
  public enum Kind: Sendable {
    /// A setting or an argument is wrong.
    case configuration
    /// An input file is missing or unreadable.
    case noInput
    /// An output file can't be written.
    case cannotCreate
    /// A port is taken, a library refused, the peer is not there.
    case unavailable
    /// The process has no descriptor or no thread left: the same may go well a little later.
    case exhausted
    /// The peer's description or packets were not acceptable.
    case peer
  }

  /// The kind of trouble.
  public let kind: Kind
  /// What, where and what to change.
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { self.message }
}
