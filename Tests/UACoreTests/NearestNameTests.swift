import Testing

@testable import UACore

@Suite struct NearestNameTests {
  @Test(
    "a mistyped word stands for the name with the fewest edits, where no more than half of it has to change",
    arguments: [
      ("opsu", ["plc", "opus"], "opus"), ("Opus", ["opus"], "opus"), ("ab", ["abcd", "abc"], "abc"),
      ("abcd", ["ab"], "ab"),
      ("abcde", ["ab"], nil), ("ab", ["abcd"], nil), ("ab", ["cd"], nil), ("", ["a"], "a"),
      (String(repeating: "x", count: 100_000), ["x", "opus"], nil),
    ] as [(String, [String], String?)])
  func nearest(word: String, names: [String], expected: String?) {
    #expect(NearestName.of(word, in: names) == expected)
  }
}
