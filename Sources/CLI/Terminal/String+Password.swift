extension String {
  /// A sentence of the parser's, which repeats a value that it refuses in quotes: where that is a URI, without its password.
  var withoutPassword: String {
    var parts = self.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, let at = parts[1].lastIndex(of: "@") else { return self }
    let value = parts[1]
    let scheme = ["sips:", "sip:"].first { value.lowercased().hasPrefix($0) } ?? ""
    let user = value[..<at].dropFirst(scheme.count)
    guard let colon = user.firstIndex(of: ":") else { return self }
    parts[1] = value[..<colon] + ":...\(value[at...])"
    return parts.joined(separator: "'")
  }
}
