/// Candidates that an agent has found since its description: a body of `application/trickle-ice-sdpfrag` (RFC 8840 §9).
package struct CandidateFragment: Hashable, Sendable {
  /// Those for one media line.
  package struct Section: Hashable, Sendable {
    /// The line's `mid`; nil where none is named.
    package var mediaID: String?
    /// The `ice-ufrag` that they belong to; nil where none is named.
    package var usernameFragment: String?
    /// Values of `a=candidate`, unread.
    package var candidates: [String] = []
  }

  /// Those that have candidates.
  package let sections: [Section]

  /// Candidates that one body may have; what is more is left out.
  package static let maximumCandidates = 100

  /// Parses what can be understood of a body, and passes over the rest.
  package init(parsing body: [UInt8]) {
    var section = Section()
    var sessionFragment: String?
    var found: [Section] = []
    var count = 0
    for line in String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline) {
      if line.hasPrefix("m=") {
        if found.isEmpty { sessionFragment = section.usernameFragment }
        found.append(section)
        section = Section(usernameFragment: sessionFragment)
      }
      guard line.hasPrefix("a=") else { continue }
      let (name, value) = line.dropFirst(2).cut(at: ":")
      guard let value else { continue }
      switch name {
      case "mid": section.mediaID = value
      case "ice-ufrag": section.usernameFragment = value
      case "candidate":
        count += 1
        if count <= Self.maximumCandidates { section.candidates.append(value) }
      default: continue
      }
    }
    self.sections = (found + [section]).filter { !$0.candidates.isEmpty }
  }
}
