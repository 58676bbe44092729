internal import ModuleKit
internal import Testing

@Suite("JSON")
struct JSONTests {
  @Test(
    "a value is printed as RFC 8259 has it",
    arguments: [
      (nil, "null"), (true, "true"), (false, "false"), (0, "0"), (-17, "-17"), (.integer(.max), "9223372036854775807"),
      (1.0, "1"), (10.4, "10.4"), (0.3125, "0.313"), (-0.0004, "0"), (-1.5, "-1.5"), (0.1, "0.1"), (2.05, "2.05"),
      (.number(.nan), "null"), (.number(-.infinity), "null"), (1e300, "1e+300"), ("", "\"\""),
      ("a\"b\\c/d", "\"a\\\"b\\\\c/d\""), ("\n\r\t\u{1}\u{7F}\u{2028}", "\"\\n\\r\\t\\u0001\\u007f\\u2028\""),
      ("ü 日本 🎧", "\"ü 日本 🎧\""), ([], "[]"), ([1, "x", nil], "[1, \"x\", null]"), ([:], "{}"),
    ] as [(JSON, String)])
  func values(value: JSON, text: String) {
    #expect(value.description == text)
  }

  @Test("an object keeps the order of its keys")
  func order() {
    let value: JSON = ["z": 1, "a": ["y": 2, "b": []], "m\"": nil]
    #expect(value.description == "{\"z\": 1, \"a\": {\"y\": 2, \"b\": []}, \"m\\\"\": null}")
  }
}
