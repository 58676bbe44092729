internal import SDPCodec

/// A command's parameters, word by word; what bears a name (`callid=…`) is taken out by it.
struct CommandWords {
  /// What was not taken out yet.
  private(set) var rest: [String]

  init(_ text: String) { self.rest = text.split(whereSeparator: \.isBlank).map(String.init) }

  /// Takes out the value of the first word that begins with `name=`; nil where there is none.
  mutating func take(_ name: String) -> String? {
    guard let place = self.rest.firstIndex(where: { $0.hasPrefix("\(name)=") }) else { return nil }
    return String(self.rest.remove(at: place).dropFirst(name.count + 1))
  }

  /// Takes out the call that is named behind directions: `callid=CALL`, or a last word that can be no direction. Empty
  /// where there is none: then the current call is meant.
  mutating func takeCall() -> String {
    if let name = self.take("callid") { return name }
    guard self.rest.count > 1, let last = self.rest.last, !last.contains("="), AudioDirection(rawValue: last) == nil
    else { return "" }
    self.rest.removeLast()
    return last
  }
}
