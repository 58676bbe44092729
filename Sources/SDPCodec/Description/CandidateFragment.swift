/// Candidates that an agent has found since its description: a body of `application/trickle-ice-sdpfrag` (RFC 8840 §9).
package struct CandidateFragment: Hashable, Sendable {
  /// Those for one media line.
  package struct Section: Hashable, Sendable {
    /// The line's media, as `audio`.
    package var media = "audio"
    /// The line's `mid`; nil where none is named.
    package var mediaID: String?
    /// The `ice-ufrag` that they belong to; nil where none is named.
    package var usernameFragment: String?
    /// The `ice-pwd` that goes with it.
    package var password: String?
    /// Values of `a=candidate`, unread.
    package var candidates: [String] = []

    package init(
      media: String = "audio", mediaID: String? = nil, usernameFragment: String? = nil, password: String? = nil,
      candidates: [String] = []
    ) {
      (self.media, self.mediaID, self.usernameFragment) = (media, mediaID, usernameFragment)
      (self.password, self.candidates) = (password, candidates)
    }
  }

  /// Of a body that was parsed, those that have candidates.
  package let sections: [Section]

  /// Candidates that one body may have; what is more is left out.
  package static let maximumCandidates = 100

  package init(_ sections: [Section]) { self.sections = sections }

  /// A body that says that these are the last.
  package var bytes: [UInt8] {
    var lines: [String] = []
    for section in self.sections {
      lines.append("m=\(section.media) 9 RTP/AVP 0")
      if let mediaID = section.mediaID { lines.append("a=mid:\(mediaID)") }
      if let fragment = section.usernameFragment { lines.append("a=ice-ufrag:\(fragment)") }
      if let password = section.password { lines.append("a=ice-pwd:\(password)") }
      lines += section.candidates.map { "a=candidate:\($0)" } + ["a=end-of-candidates"]
    }
    return Array(lines.map { $0 + "\r\n" }.joined().utf8)
  }

  /// Parses what can be understood of a body, and passes over the rest.
  package init(parsing body: [UInt8]) {
    var section = Section()
    var (sessionFragment, sessionPassword): (String?, String?) = (nil, nil)
    var found: [Section] = []
    var count = 0
    for line in String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline) {
      if line.hasPrefix("m=") {
        if found.isEmpty { (sessionFragment, sessionPassword) = (section.usernameFragment, section.password) }
        found.append(section)
        section = Section(
          media: String(line.dropFirst(2).prefix { $0 != " " }), usernameFragment: sessionFragment,
          password: sessionPassword)
      }
      guard line.hasPrefix("a=") else { continue }
      let (name, value) = line.dropFirst(2).cut(at: ":")
      guard let value else { continue }
      switch name {
      case "mid": section.mediaID = value
      case "ice-ufrag": section.usernameFragment = value
      case "ice-pwd": section.password = value
      case "candidate":
        count += 1
        if count <= Self.maximumCandidates { section.candidates.append(value) }
      default: continue
      }
    }
    self.sections = (found + [section]).filter { !$0.candidates.isEmpty }
  }
}
