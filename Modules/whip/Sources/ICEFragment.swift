internal import NetBase
package import SDPCodec

/// What a PATCH brings of ICE (RFC 8840 §9): a new beginning, or candidates that were found later.
package struct ICEFragment {
  private let usernameFragment: String
  private let password: String
  private let candidates: [Candidate]

  private struct Candidate {
    let attribute: SDPAttribute
    /// The `mid` of the section that it is for, where the fragment says so.
    let mediaID: String?
  }

  /// Nil when it names no credentials, or some that ICE does not allow.
  package init?(parsing body: [UInt8]) {
    var named: [String: String] = [:]
    var candidates: [Candidate] = []
    var mediaID: String?
    for line in String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline) {
      if line.hasPrefix("m=") { mediaID = nil }
      guard line.hasPrefix("a=") else { continue }
      let parts = line.dropFirst(2).split(separator: ":", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "ice-ufrag", "ice-pwd": named[parts[0]] = named[parts[0]] ?? parts[1]
      case "mid": mediaID = parts[1]
      case "candidate": candidates.append(Candidate(attribute: SDPAttribute(parts[0], parts[1]), mediaID: mediaID))
      default: continue
      }
    }
    guard let usernameFragment = named["ice-ufrag"], (4...256).contains(usernameFragment.utf8.count),
      let password = named["ice-pwd"], (22...256).contains(password.utf8.count)
    else { return nil }
    (self.usernameFragment, self.password, self.candidates) = (usernameFragment, password, candidates)
  }

  /// Whether it belongs to what `description` began.
  package func continues(_ description: SessionDescription) -> Bool {
    description.iceUfrag == self.usernameFragment
      || description.media.contains { $0.iceUfrag == self.usernameFragment }
  }

  /// Candidates that a session may have named; a client has a few.
  package static let maximumCandidates = 100

  /// `offer` as the client would have sent it with this in it; nil where it names more candidates than anyone has.
  package func merged(into offer: SessionDescription) -> SessionDescription? {
    let isRestart = !self.continues(offer)
    var merged = offer
    merged.origin.sessionVersion = String((UInt64(offer.origin.sessionVersion) ?? 0) &+ 1)
    merged.attributes = self.merged(into: offer.attributes, isRestart)
    for index in offer.media.indices {
      merged.media[index].attributes = self.merged(into: offer.media[index].attributes, isRestart)
    }
    // Those that name no section are the first one's, whose transport has what is bundled.
    guard let first = offer.media.firstIndex(where: { $0.port != 0 }) else { return merged }
    let known = merged.media.map { Set($0.attributes) }
    for candidate in self.candidates {
      let named = candidate.mediaID.flatMap { mediaID in offer.media.firstIndex { $0.mid == mediaID } }
      let index = named ?? first
      if !known[index].contains(candidate.attribute) { merged.media[index].attributes.append(candidate.attribute) }
    }
    let count = merged.media.reduce(0) { $0 + $1.candidates.count }
    return count <= Self.maximumCandidates ? merged : nil
  }

  private func merged(into attributes: [SDPAttribute], _ isRestart: Bool) -> [SDPAttribute] {
    attributes.compactMap { attribute in
      switch attribute.name {
      case "ice-ufrag" where isRestart: SDPAttribute("ice-ufrag", self.usernameFragment)
      case "ice-pwd" where isRestart: SDPAttribute("ice-pwd", self.password)
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
