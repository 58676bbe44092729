internal import Testing

@testable internal import CLI

@Suite("Keys") struct KeyEditorTests {
  /// What comes of typing `text`, where `starting` are the keys with which a line begins.
  private func steps(_ text: String, starting: String = "") -> (steps: [KeyEditor.Step], line: String?) {
    var editor = KeyEditor()
    var steps: [KeyEditor.Step] = []
    for key in KeyEditor.keys(in: text) {
      let step = editor.take(key)
      if case .key(let key) = step, starting.contains(key) { editor.begin("\(key) ") }
      if step != .nothing { steps.append(step) }
    }
    return (steps, editor.line)
  }

  @Test("outside a line each key stands for itself, and Enter is none")
  func keys() {
    #expect(steps("xb\n\r5").steps == [.key("x"), .key("b"), .key("5")])
  }

  @Test("a slash begins a line, and so does a key that needs more; Enter ends it")
  func lines() {
    #expect(steps("/dial bob\nx").steps == [.line("/dial bob"), .key("x")])
    #expect(steps("dbob é\nx", starting: "d").steps == [.key("d"), .line("d bob é"), .key("x")])
    #expect(steps("/di").line == "/di")
  }

  @Test("a line is mended: erased by characters, emptied, given up")
  func mending() {
    #expect(steps("/dialx\u{7F} bob\u{08}\u{08}\n").steps == [.line("/dial b")])
    #expect(steps("/x\u{15}/y\n").steps == [.line("/y")])
    #expect(steps("/x\u{1B}x").steps == [.key("x")])
    #expect(steps("/\u{7F}\u{7F}x").steps == [.key("x")])
    #expect(steps("/a\u{01}\tb\n").steps == [.line("/ab")])
  }

  @Test("what a terminal sends for arrows and function keys is no key; Escape alone is one")
  func sequences() {
    #expect(KeyEditor.keys(in: "a\u{1B}[A\u{1B}[15~\u{1B}OPb") == ["a", "b"])
    #expect(KeyEditor.keys(in: "\u{1B}") == ["\u{1B}"])
    #expect(KeyEditor.keys(in: "\u{1B}[") == [])
  }
}
