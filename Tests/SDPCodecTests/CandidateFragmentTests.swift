import SDPCodec
import Testing

/// Bodies of `application/trickle-ice-sdpfrag` (RFC 8840 §9).
@Suite struct CandidateFragmentTests {
  /// What is read of these lines, a text for each section: its `mid`, its fragment, its candidates.
  private static func read(_ lines: String...) -> [String] {
    CandidateFragment(parsing: Array(lines.joined(separator: "\r\n").utf8)).sections.map { section in
      ([section.mediaID ?? "-", section.usernameFragment ?? "-"] + section.candidates).joined(separator: " ")
    }
  }

  @Test("each line's candidates are told apart, with the session's fragment or one of their own")
  func lines() {
    let sections = Self.read(
      "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-ufrag:8hhY", "m=audio 9 RTP/AVP 0", "a=mid:1", "a=candidate:first",
      "a=candidate:second", "a=end-of-candidates", "m=audio 9 RTP/AVP 0", "a=mid:2", "a=ice-ufrag:own",
      "a=candidate:third", "m=video 9 RTP/AVP 0", "a=mid:3", "m=video 9 RTP/AVP 0", "a=candidate:fourth")
    #expect(sections == ["1 8hhY first second", "2 own third", "- 8hhY fourth"])
  }

  @Test("what names no line, or is no fragment, is read as far as it goes")
  func odd() {
    #expect(Self.read("a=candidate:x", "a=mid") == ["- - x"])
    #expect(Self.read("", "v=0", "a=candidate", "a=ice-ufrag:x", "m=").isEmpty)
    let many = (0..<150).map { _ in "a=candidate:x" }.joined(separator: "\n")
    let read = Self.read("m=audio 9 RTP/AVP 0", many)
    #expect(read.count == 1 && read[0].split(separator: " ").count == 2 + CandidateFragment.maximumCandidates)
  }
}
