extension JSON {
  /// Why a text is not JSON, or more of it than anyone should send.
  package struct Malformed: Error, Hashable, CustomStringConvertible {
    /// A few words.
    package let description: String
    /// Counts bytes from 0.
    package let offset: Int
  }

  /// Reads one value (RFC 8259) and nothing after it; containers nest to `depth` at most.
  ///
  /// Numbers without a fraction that fit are integers. Of a member that stands twice, both are kept.
  package init(parsing text: some Collection<UInt8>, depth: Int = 16) throws(Malformed) {
    var parser = JSONParser(Array(text), depth: depth)
    self = try parser.document()
  }
}

/// One pass over a text; time is linear in its length.
private struct JSONParser {
  private let bytes: [UInt8]
  private let depth: Int
  private var position = 0

  init(_ bytes: [UInt8], depth: Int) {
    self.bytes = bytes
    self.depth = depth
  }

  mutating func document() throws(JSON.Malformed) -> JSON {
    let value = try self.value(level: 0)
    self.skipBlanks()
    guard self.position == self.bytes.count else { throw self.malformed("text after the value") }
    return value
  }

  private mutating func value(level: Int) throws(JSON.Malformed) -> JSON {
    self.skipBlanks()
    guard let first = self.peek else { throw self.malformed("the end, where a value should be") }
    switch first {
    case UInt8(ascii: "{"): return try self.object(level: level)
    case UInt8(ascii: "["): return try self.array(level: level)
    case UInt8(ascii: "\""): return .string(try self.string())
    case UInt8(ascii: "t"): return try self.word("true", .bool(true))
    case UInt8(ascii: "f"): return try self.word("false", .bool(false))
    case UInt8(ascii: "n"): return try self.word("null", .null)
    default: return try self.number()
    }
  }

  private mutating func object(level: Int) throws(JSON.Malformed) -> JSON {
    guard level < self.depth else { throw self.malformed("nested too deeply") }
    var members: [JSON.Member] = []
    self.position += 1
    if self.take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      self.skipBlanks()
      guard self.peek == UInt8(ascii: "\"") else { throw self.malformed("a member without a name") }
      let key = try self.string()
      guard self.take(UInt8(ascii: ":")) else { throw self.malformed("a member without a colon") }
      members.append(JSON.Member(key: key, value: try self.value(level: level + 1)))
      if self.take(UInt8(ascii: "}")) { return .object(members) }
      guard self.take(UInt8(ascii: ",")) else { throw self.malformed("an object that does not end") }
    }
  }

  private mutating func array(level: Int) throws(JSON.Malformed) -> JSON {
    guard level < self.depth else { throw self.malformed("nested too deeply") }
    var values: [JSON] = []
    self.position += 1
    if self.take(UInt8(ascii: "]")) { return .array(values) }
    while true {
      values.append(try self.value(level: level + 1))
      if self.take(UInt8(ascii: "]")) { return .array(values) }
      guard self.take(UInt8(ascii: ",")) else { throw self.malformed("an array that does not end") }
    }
  }

  private mutating func string() throws(JSON.Malformed) -> String {
    self.position += 1
    var text: [UInt8] = []
    while let byte = self.peek {
      self.position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): text += try self.escape()
      case 0..<0x20: throw self.malformed("a control character in a string")
      default: text.append(byte)
      }
    }
    throw self.malformed("a string that does not end")
  }

  private mutating func escape() throws(JSON.Malformed) -> [UInt8] {
    guard let byte = self.peek else { throw self.malformed("a string that does not end") }
    self.position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var code = try self.hexadecimal()
      if (0xD800..<0xDC00).contains(code), self.peek == UInt8(ascii: "\\") {
        self.position += 1
        guard self.peek == UInt8(ascii: "u") else { throw self.malformed("half a surrogate pair") }
        self.position += 1
        let low = try self.hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw self.malformed("half a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw self.malformed("half a surrogate pair") }
      return Array(String(Character(scalar)).utf8)
    default: throw self.malformed("an unknown escape")
    }
  }

  private mutating func hexadecimal() throws(JSON.Malformed) -> UInt32 {
    let digits = self.bytes[self.position...].prefix(4)
    // Swift would take a sign, too.
    guard digits.count == 4, let first = digits.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
      let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw self.malformed("an escape without four hexadecimal digits") }
    self.position += 4
    return code
  }

  private mutating func number() throws(JSON.Malformed) -> JSON {
    let start = self.position
    while let byte = self.peek, "+-.eE0123456789".utf8.contains(byte) { self.position += 1 }
    let text = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    if let integer = Int(text), text.first != "+" { return .integer(integer) }
    guard let number = Double(text), number.isFinite, text.first != "+" else {
      self.position = start
      throw self.malformed("neither a value nor a number")
    }
    return .number(number)
  }

  private mutating func word(_ word: String, _ value: JSON) throws(JSON.Malformed) -> JSON {
    guard self.bytes[self.position...].starts(with: word.utf8) else { throw self.malformed("an unknown word") }
    self.position += word.utf8.count
    return value
  }

  private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    self.skipBlanks()
    guard self.peek == byte else { return false }
    self.position += 1
    return true
  }

  private mutating func skipBlanks() {
    while let byte = self.peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { self.position += 1 }
  }

  private func malformed(_ what: String) -> JSON.Malformed { JSON.Malformed(description: what, offset: self.position) }
}
