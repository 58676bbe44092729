import Testing

@testable import CLI

/// Answers of commands have baresip's colours; a pipe and a file get none.
@Suite struct StylesTests {
  @Test(
    "control sequences are taken out, and nothing else",
    arguments: [
      ("0 - sip:a@b \u{1B}[32mOK \u{1B}[;m Expires 60s", "0 - sip:a@b OK  Expires 60s"), ("plain m", "plain m"),
      ("", ""),
      ("\u{1B}[31mERR\u{1B}[;m 403", "ERR 403"), ("cut \u{1B}[3", "cut "),
    ])
  func withoutStyles(text: String, plain: String) { #expect(text.withoutStyles == plain) }
}
