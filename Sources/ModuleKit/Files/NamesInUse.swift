/// The files being written, so that two calls at the same time don't write into one.
package struct NamesInUse {
  private var names: Set<String> = []

  package init() {}

  /// The path, or with `-2`, `-3` … before its extension while it is in use.
  mutating func claim(_ path: String) -> String {
    var candidate = path
    var number = 2
    while !self.names.insert(candidate).inserted {
      candidate = numbered(path, number)
      number += 1
    }
    return candidate
  }

  mutating func release(_ path: String) { self.names.remove(path) }
}

private func numbered(_ path: String, _ number: Int) -> String {
  let nameStart = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  guard let dot = path[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(path)-\(number)" }
  return "\(path[..<dot])-\(number)\(path[dot...])"
}
