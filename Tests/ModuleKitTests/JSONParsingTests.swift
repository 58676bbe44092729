internal import ModuleKit
internal import Testing

/// JSON as programs send it.
@Suite struct JSONParsingTests {
  @Test(
    "a text is read as RFC 8259 has it",
    arguments: [
      ("null", nil), (" true ", true), ("false", false), ("-17", -17), ("0.5", 0.5), ("1e3", 1000.0), ("\"\"", ""),
      ("\"a\\n\\u00e9\\ud83d\\ude00\\/\"", "a\né😀/"), ("[]", []), ("[1, [2]]", [1, [2]]), ("{}", [:]),
      ("{\"a\": 1 , \"b\":{\"c\":\"d\"}}", ["a": 1, "b": ["c": "d"]]),
    ] as [(String, JSON)])
  func read(text: String, value: JSON) throws { #expect(try JSON(parsing: text.utf8) == value) }

  @Test(
    "what is no JSON is refused",
    arguments: [
      "", " ", "nul", "{", "}", "{\"a\"}", "{\"a\":1,}", "[1,]", "[1 2]", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u+041\"",
      "\"\\u-000\"",
      "\"\\ud800\"",
      "\"\\ud800\\u0041\"", "1 2", "+1", "1e999", "--1", "\"a\nb\"", "{a:1}", "{\"a\":1}x",
    ])
  func refuse(text: String) { #expect(throws: JSON.Malformed.self) { try JSON(parsing: text.utf8) } }

  @Test("nesting has a limit")
  func depth() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    #expect(throws: Never.self) { try JSON(parsing: nested(16).utf8) }
    #expect(throws: JSON.Malformed.self) { try JSON(parsing: nested(17).utf8) }
    #expect(throws: JSON.Malformed.self) { try JSON(parsing: nested(100_000).utf8) }
  }

  @Test("what is printed is read again")
  func roundTrip() throws {
    let value: JSON = ["a": ["b", nil, true, -3, 0.25], "c": ["d\"\\\u{1}": "\u{7F}é"]]
    #expect(try JSON(parsing: value.description.utf8) == value)
    #expect(value["c"]?["d\"\\\u{1}"]?.text == "\u{7F}é")
  }
}
