/// The name that a mistyped one probably stands for.
enum NearestName {
  /// The candidate with the fewest edits; nil when more than half of the word would have to change.
  static func of(_ word: String, in candidates: some Sequence<String>) -> String? {
    var best: (name: String, edits: Int)?
    let (word, most) = (word.lowercased(), max(word.utf8.count, 2) / 2)
    for candidate in candidates {
      // As many edits as the lengths differ by are needed at least.
      guard abs(candidate.utf8.count - word.utf8.count) <= min(most, best?.edits ?? most) else { continue }
      let edits = distance(word, candidate)
      if edits < best?.edits ?? Int.max { best = (candidate, edits) }
    }
    guard let best, best.edits <= most else { return nil }
    return best.name
  }

  /// ` (did you mean "x"?)` to append to a sentence, or nothing.
  static func question(_ word: String, in candidates: some Sequence<String>) -> String {
    of(word, in: candidates).map { "; did you mean \"\($0)\"?" } ?? ""
  }

  /// Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment).
  static func distance(_ first: String, _ second: String) -> Int {
    let (a, b) = (Array(first.utf8), Array(second.utf8))
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var edits = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { edits = min(edits, before[j - 1] + 1) }
        row.append(edits)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
