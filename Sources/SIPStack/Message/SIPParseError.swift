/// Why bytes from the network are not a SIP message, or a header field is not what it must be.
package enum SIPParseError: Error, Hashable, Sendable {
  /// Nothing but line ends: a keep-alive (RFC 5626 §4.4.1).
  case empty
  case messageTooLarge
  case tooManyHeaders
  case headersTooLong
  case malformedStartLine
  /// The start line is sound and names another version than SIP/2.0.
  case unsupportedVersion
  case malformedHeader
  /// The header section does not end with an empty line.
  case unterminatedHeaders
  case malformedContentLength
  /// Content-Length promises more than the datagram holds.
  case incompleteBody
  case missingHeader(String)
  /// A header field that may occur once occurs again.
  case repeatedHeader(String)
  case malformedURI
  case malformedAddress
  case malformedVia
  case malformedCSeq
  /// The method of CSeq is not the method of the request line.
  case methodMismatch

  /// A reason phrase for the 400 that such a request gets.
  package var phrase: String {
    switch self {
    case .empty: "Empty Message"
    case .messageTooLarge: "Message Too Large"
    case .tooManyHeaders: "Too Many Header Fields"
    case .headersTooLong: "Header Section Too Long"
    case .malformedStartLine: "Malformed Start Line"
    case .unsupportedVersion: "Version Not Supported"
    case .malformedHeader: "Malformed Header Field"
    case .unterminatedHeaders: "Header Section Without End"
    case .malformedContentLength: "Malformed Content-Length"
    case .incompleteBody: "Body Shorter Than Content-Length"
    case .missingHeader(let name): "Missing \(name)"
    case .repeatedHeader(let name): "Repeated \(name)"
    case .malformedURI: "Malformed URI"
    case .malformedAddress: "Malformed Address"
    case .malformedVia: "Malformed Via"
    case .malformedCSeq: "Malformed CSeq"
    case .methodMismatch: "CSeq Method Mismatch"
    }
  }
}
