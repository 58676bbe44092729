/// Why a session description was refused. `line` counts from 1.
package enum SDPError: Error, Hashable, Sendable, CustomStringConvertible {
  /// More bytes than `SDPLimits.bytes`.
  case tooLarge(bytes: Int)
  /// More media sections than `SDPLimits.media`.
  case tooManyMedia(line: Int)
  /// More attributes in one section than `SDPLimits.attributes`.
  case tooManyAttributes(line: Int)
  /// A NUL, or a CR that ends no line: RFC 8866 §9 allows neither inside a value.
  case invalidByte(line: Int)
  /// The first line is not `v=0`.
  case notVersionZero(line: Int)
  /// A line that cannot be skipped (`o`, `c`, `m`, `t`) does not follow its grammar.
  case malformed(type: Character, line: Int)
  /// A line that may occur once occurs again.
  case duplicate(type: Character, line: Int)
  /// The description ends without a mandatory line.
  case missing(type: Character, line: Int)

  package var description: String {
    switch self {
    case .tooLarge(let bytes): "session description of \(bytes) bytes, at most \(SDPLimits.bytes) are read"
    case .tooManyMedia(let line): "SDP line \(line): more than \(SDPLimits.media) media sections"
    case .tooManyAttributes(let line): "SDP line \(line): more than \(SDPLimits.attributes) attributes in one section"
    case .invalidByte(let line): "SDP line \(line): a NUL or a stray CR"
    case .notVersionZero(let line): "SDP line \(line): does not start with v=0"
    case .malformed(let type, let line): "SDP line \(line): malformed \(type)= line"
    case .duplicate(let type, let line): "SDP line \(line): second \(type)= line"
    case .missing(let type, let line): "SDP ends at line \(line) without \(type)="
    }
  }
}

/// How much of a stranger's session description is read before it is refused.
package enum SDPLimits {
  /// Length of a description, in bytes.
  package static let bytes = 65_536
  /// Media sections in a description.
  package static let media = 64
  /// Attributes of the session, and of each media section.
  package static let attributes = 512
}
