internal import Testing

@testable internal import UACore

@Suite("config syntax")
struct ConfigFileTests {
  @Test("keys are read in any case, as baresip does; values are as they are written")
  func anyCase() {
    var problems: [ConfigProblem] = []
    let file = ConfigFile.parse("MODULE Opus.so\nSip_Listen A:5060", path: "config", problems: &problems)
    #expect(
      file.entries == [
        ConfigFile.Entry(key: "module", value: "Opus.so", line: 1),
        ConfigFile.Entry(key: "sip_listen", value: "A:5060", line: 2),
      ])
  }

  @Test(
    "a line is a key, blanks and a value",
    arguments: [
      ("key value", "value"), ("key\t\t value", "value"), ("  key value  ", "value"), ("key value # why", "value"),
      ("key value#1", "value#1"), ("key \"two words\"", "two words"), ("key \"two words\"  # why", "two words"),
      ("key \"\"", ""), ("key\tvalue\r", "value"), ("key", nil), ("key # only a comment", nil),
      ("\u{FEFF}key value", "value"), ("key ünï", "ünï"),
    ] as [(String, String?)])
  func values(line: String, value: String?) {
    var problems: [ConfigProblem] = []
    let file = ConfigFile.parse(line, path: "config", problems: &problems)
    #expect(file.entries == [ConfigFile.Entry(key: "key", value: value, line: 1)])
    #expect(problems.isEmpty)
  }

  @Test("comments and empty lines count as lines, and repeated keys keep their order")
  func order() {
    var problems: [ConfigProblem] = []
    let text = "# first\r\n\r\nmodule a.so\r\n#module b.so\r\n   # c\r\nmodule\tc\nother x\nmodule d"
    let file = ConfigFile.parse(text, path: "config", problems: &problems)
    #expect(file.entries.map(\.line) == [3, 6, 7, 8])
    #expect(file.entries.filter { $0.key == "module" }.map(\.value) == ["a.so", "c", "d"])
  }

  @Test("what is left over after a value is reported, and an open quote is an error")
  func leftOver() {
    var problems: [ConfigProblem] = []
    let file = ConfigFile.parse("a one two\nb \"one two\nc \"x\" y", path: "f", problems: &problems)
    #expect(file.entries.map(\.value) == ["one", "x"])
    #expect(
      problems.map(\.description) == [
        "f:1: warning: a: text after the value is ignored: put a value with blanks in double quotes",
        "f:2: error: b: the value has an opening quote only: add one at its end",
        "f:3: warning: c: text after the value is ignored: put a value with blanks in double quotes",
      ])
  }

  @Test(
    "edits are insertions, deletions, substitutions and swaps",
    arguments: [
      ("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("opsu", "opus", 1), ("ca", "abc", 3),
      ("aufile", "aufile", 0),
    ])
  func distance(first: String, second: String, edits: Int) {
    #expect(NearestName.distance(first, second) == edits)
    #expect(NearestName.distance(second, first) == edits)
  }

  @Test(
    "a mistyped name is recognised, a strange one isn't",
    arguments: [
      ("opsu", "opus"), ("Opus", "opus"), ("dtls-srtp", "dtls_srtp"), ("srpt", "srtp"), ("xylophone", nil),
    ] as [(String, String?)])
  func nearest(word: String, name: String?) {
    #expect(NearestName.of(word, in: ["g711", "opus", "srtp", "dtls_srtp"]) == name)
  }
}
