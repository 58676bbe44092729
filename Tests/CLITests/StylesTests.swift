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

  @Test(
    "what could steer a terminal is replaced; colours stay where they may be ours",
    arguments: [
      ("two\r\nlines\tand ü 🙂", "two\r\nlines\tand ü 🙂", "two\r\nlines\tand ü 🙂"),
      ("\u{1B}[31mred", "\u{FFFD}[31mred", "\u{1B}[31mred"),
      ("\u{1B}]52;c;QQ\u{7}", "\u{FFFD}]52;c;QQ\u{FFFD}", "\u{FFFD}]52;c;QQ\u{FFFD}"),
      (
        "\u{1B}[2J\u{9B}H\u{7F}a\rb\0", "\u{FFFD}[2J\u{FFFD}H\u{FFFD}a\u{FFFD}b\u{FFFD}",
        "\u{FFFD}[2J\u{FFFD}H\u{FFFD}a\u{FFFD}b\u{FFFD}"
      ),
    ])
  func withoutControls(text: String, plain: String, styled: String) {
    #expect(text.withoutControls() == plain)
    #expect(text.withoutControls(keepsStyles: true) == styled)
  }

  @Test(
    "a value that the parser refuses is repeated without its password",
    arguments: [
      ("The value 'sip:bob:s3cret@h;transport=x' is invalid for '<uri>': no", "sip:bob:...@h;transport=x"),
      ("The value 'bob:s3cret@h' is invalid", "bob:...@h"), ("The value 'sip:bob@h' is invalid", "sip:bob@h"),
      ("Unknown option '--nope'", "--nope"), ("nothing quoted, sip:a:b@c", "sip:a:b@c"),
    ])
  func withoutPassword(message: String, kept: String) {
    let shown = message.withoutPassword
    #expect(shown.contains(kept) && !shown.contains("s3cret"))
  }
}
