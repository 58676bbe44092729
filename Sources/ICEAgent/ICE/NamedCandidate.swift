package import NetBase

/// A candidate with a name in place of its address, as a browser writes for a host that wants to stay unknown
/// (draft-ietf-mmusic-mdns-ice-candidates).
package struct NamedCandidate: Hashable, Sendable {
  /// One label and `.local`.
  package let name: String
  /// The `ice-ufrag` that it belongs to.
  package let fragment: String
  private let words: [String]

  /// - Parameter line: the value of a candidate attribute.
  /// - Returns: nil for any other name: a peer does not make us ask for whatever it likes.
  package init?(_ line: some StringProtocol, of fragment: String) {
    let words = String(line).split(separator: " ", maxSplits: 64).map(String.init)
    guard words.count >= 8 else { return nil }
    let name = words[4].lowercased()
    let label = name.dropLast(Self.domain.count).utf8
    guard name.hasSuffix(Self.domain), (1...63).contains(label.count),
      label.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
    else { return nil }
    (self.name, self.fragment, self.words) = (name, fragment, words)
  }

  private static let domain = ".local"

  /// The candidate, once its name is known to stand for `address`.
  package func candidate(at address: SocketAddress) -> ICECandidate? {
    var words = self.words
    words[4] = address.unscoped.host
    return try? ICECandidate(parsing: words.joined(separator: " "))
  }
}
