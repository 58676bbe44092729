/// The session description in a body of several parts (RFC 2046 §5.1): beside it are ISUP, a location or a recorder's
/// metadata (RFC 5621), which nobody here wants.
extension SIPBody {
  /// How deep parts may have parts of their own.
  private static let maximumDepth = 3

  /// The first part that is `application/sdp`; nil where there is none, or the body is no `multipart`.
  var describedPart: SIPBody? { self.describedPart(depth: Self.maximumDepth) }

  private func describedPart(depth: Int) -> SIPBody? {
    guard depth > 0, let boundary = self.boundary else { return nil }
    let delimiter = Array("--\(boundary)".utf8)
    var start: Int?
    var end = 0
    for line in self.bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
      if line.starts(with: delimiter) {
        let rest = line.dropFirst(delimiter.count)
        let isLast = rest.starts(with: "--".utf8)
        if isLast || rest.allSatisfy(Self.isBlank) {
          if let start, start < end, let found = SIPBody(part: self.bytes[start..<end]).described(depth: depth - 1) {
            return found
          }
          if isLast { return nil }
          start = line.endIndex + 1
        }
      }
      // The line end before a delimiter is the delimiter's.
      end = line.last == 0x0D ? line.endIndex - 1 : line.endIndex
    }
    return nil
  }

  private func described(depth: Int) -> SIPBody? {
    !self.contentType.isEmpty && self.isSessionDescription ? self : self.describedPart(depth: depth)
  }

  /// What separates the parts; nil where the body is no `multipart`.
  private var boundary: String? {
    var scanner = TextScanner(self.contentType)
    let type = scanner.take(while: { $0 != .semicolon && $0 != .space && $0 != .tab })
    guard type.lowercased().hasPrefix("multipart/"),
      let parameters = SIPParameters(
        &scanner, accepts: { $0 > 0x20 && $0 < 0x7F && $0 != .semicolon && $0 != .equals }),
      let value = parameters["boundary"]
    else { return nil }
    let boundary = value.hasPrefix("\"") ? NameAddress.unquote(value) : value
    return (1...70).contains(boundary.utf8.count) ? boundary : nil
  }

  /// A part: header fields, an empty line, and the rest.
  private init(part bytes: ArraySlice<UInt8>) {
    var (type, isEncoded) = ("", false)
    var position = bytes.startIndex
    while position < bytes.endIndex {
      let end = bytes[position...].firstIndex(of: 0x0A) ?? bytes.endIndex
      let line = String(decoding: bytes[position..<end].filter { $0 != 0x0D }, as: UTF8.self).trimmed
      position = min(end + 1, bytes.endIndex)
      guard !line.isEmpty else { break }
      let parts = line.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1).map { String(Substring($0)).trimmed }
      guard parts.count == 2 else { continue }
      if parts[0].isSame(ignoringCaseOf: "Content-Type") { type = parts[1] }
      if parts[0].isSame(ignoringCaseOf: "Content-Transfer-Encoding") {
        isEncoded = !["7bit", "8bit", "binary"].contains(parts[1].lowercased())
      }
    }
    self.init(contentType: isEncoded ? "" : type, bytes: Array(bytes[position...]))
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}
