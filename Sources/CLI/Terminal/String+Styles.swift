extension String {
  /// Without the control sequences that give colour (ECMA-48's SGR).
  var withoutStyles: String {
    var rest = self[...]
    var plain = ""
    while let start = rest.firstIndex(of: "\u{1B}") {
      plain += rest[..<start]
      rest = rest[start...]
      rest = rest.firstIndex(of: "m").map { rest[rest.index(after: $0)...] } ?? ""
    }
    return plain + rest
  }
}
