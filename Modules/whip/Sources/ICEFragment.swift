internal import NetBase
internal import SDPCodec

/// What a PATCH brings of ICE (RFC 8840 §9): a new beginning, or candidates that were found later.
struct ICEFragment {
  private let usernameFragment: String
  private let password: String
  private let candidates: [SDPAttribute]

  /// Nil when it names no credentials, or some that ICE does not allow.
  init?(parsing body: [UInt8]) {
    var named: [String: String] = [:]
    var candidates: [SDPAttribute] = []
    for line in String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline) {
      guard line.hasPrefix("a=") else { continue }
      let parts = line.dropFirst(2).split(separator: ":", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "ice-ufrag", "ice-pwd": named[parts[0]] = named[parts[0]] ?? parts[1]
      case "candidate": candidates.append(SDPAttribute(parts[0], parts[1]))
      default: continue
      }
    }
    guard let usernameFragment = named["ice-ufrag"], (4...256).contains(usernameFragment.utf8.count),
      let password = named["ice-pwd"], (22...256).contains(password.utf8.count)
    else { return nil }
    (self.usernameFragment, self.password, self.candidates) = (usernameFragment, password, candidates)
  }

  /// Whether it belongs to what `description` began.
  func continues(_ description: SessionDescription) -> Bool {
    description.iceUfrag == self.usernameFragment
      || description.media.contains { $0.iceUfrag == self.usernameFragment }
  }

  /// Candidates that a session may have named; a client has a few.
  static let maximumCandidates = 100

  /// `offer` as the client would have sent it with this in it; nil where it names more candidates than anyone has.
  func merged(into offer: SessionDescription) -> SessionDescription? {
    let isRestart = !self.continues(offer)
    var merged = offer
    merged.origin.sessionVersion = String((UInt64(offer.origin.sessionVersion) ?? 0) &+ 1)
    merged.attributes = self.merged(into: offer.attributes, isRestart)
    for index in offer.media.indices {
      merged.media[index].attributes = self.merged(into: offer.media[index].attributes, isRestart)
    }
    // What is bundled has the candidates of its first section.
    guard let first = offer.media.firstIndex(where: { $0.port != 0 }) else { return merged }
    let known = Set(merged.media[first].attributes)
    merged.media[first].attributes += self.candidates.filter { !known.contains($0) }
    let count = merged.media[first].attributes.count { $0.name == "candidate" }
    return count <= Self.maximumCandidates ? merged : nil
  }

  private func merged(into attributes: [SDPAttribute], _ isRestart: Bool) -> [SDPAttribute] {
    attributes.compactMap { attribute in
      switch attribute.name {
      case "ice-ufrag": SDPAttribute("ice-ufrag", self.usernameFragment)
      case "ice-pwd": SDPAttribute("ice-pwd", self.password)
      case "candidate", "end-of-candidates": isRestart ? nil : attribute
      default: attribute
      }
    }
  }

  /// What of our answer a client needs to begin anew (RFC 9725 §4.3.3).
  static func of(_ answer: SessionDescription) -> [UInt8] {
    guard let media = answer.media.first(where: { $0.port != 0 }) else { return [] }
    let wanted: Set<String> = ["mid", "ice-ufrag", "ice-pwd", "candidate"]
    let attributes = media.attributes.filter { wanted.contains($0.name) }
    let lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 0"] + attributes.map { "a=\($0.name):\($0.value ?? "")" }
    return Array((lines + ["a=end-of-candidates", ""]).joined(separator: "\r\n").utf8)
  }
}
