/// A file in baresip's config syntax: `key<blanks>value` lines and `#` comments, in the file's order.
///
/// A value ends at the first blank unless it stands in double quotes. What a key means is not known here.
package struct ConfigFile: Sendable {
  /// One `key value` line.
  package struct Entry: Hashable, Sendable {
    /// In lower case: baresip reads keys in any.
    package let key: String
    /// Without its quotes; nil when the line has only a key.
    package let value: String?
    /// Counts from 1.
    package let line: Int
  }

  /// As the caller named it, for problems.
  package let path: String
  package let entries: [Entry]

  /// Parses `text`; what can't be understood becomes a problem and is left out.
  package static func parse(_ text: String, path: String, problems: inout [ConfigProblem]) -> ConfigFile {
    var entries: [Entry] = []
    for (line, content) in ConfigLines(text) {
      let location = ConfigLocation(file: path, line: line)
      let word = content.prefix { !$0.isBlank }
      let key = word.lowercased()
      let rest = content.dropFirst(word.count).drop(while: \.isBlank)
      let value: String?
      let extra: Substring
      if rest.isEmpty || rest.first == "#" {
        (value, extra) = (nil, "")
      } else if rest.first == "\"" {
        let quoted = rest.dropFirst()
        guard let end = quoted.firstIndex(of: "\"") else {
          problems.append(location.error(key, "the value has an opening quote only: add one at its end"))
          continue
        }
        value = String(quoted[..<end])
        extra = quoted[quoted.index(after: end)...].drop(while: \.isBlank)
      } else {
        let word = rest.prefix { !$0.isBlank }
        value = String(word)
        extra = rest.dropFirst(word.count).drop(while: \.isBlank)
      }
      if !extra.isEmpty, extra.first != "#" {
        problems.append(
          location.warning(key, "text after the value is ignored: put a value with blanks in double quotes"))
      }
      entries.append(Entry(key: key, value: value, line: line))
    }
    return ConfigFile(path: path, entries: entries)
  }

  func location(of entry: Entry) -> ConfigLocation { ConfigLocation(file: self.path, line: entry.line) }
}

extension Character {
  var isBlank: Bool { self == " " || self == "\t" }
}

/// The lines of a file that say something: numbered from 1, without blanks around them, empty ones and comments left out.
struct ConfigLines: Sequence {
  private let text: Substring

  init(_ text: String) { self.text = text.first == "\u{FEFF}" ? text.dropFirst() : text[...] }

  func makeIterator() -> AnyIterator<(line: Int, content: Substring)> {
    var lines = self.text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
      .makeIterator()
    return AnyIterator {
      while let (index, line) = lines.next() {
        var content = line.drop(while: \.isBlank)
        while content.last?.isBlank == true { content.removeLast() }
        if !content.isEmpty, content.first != "#" { return (index + 1, content) }
      }
      return nil
    }
  }
}
