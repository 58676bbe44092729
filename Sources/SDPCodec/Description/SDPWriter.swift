/// Writes the lines of a description in RFC 8866's order, each ended by CRLF.
struct SDPWriter {
  private(set) var text = ""

  mutating func write(_ session: SessionDescription) {
    self.line("v", "0")
    self.line("o", session.origin.text)
    self.line("s", session.sessionName.isEmpty ? "-" : session.sessionName)
    self.line("i", session.information)
    self.line("u", session.uri)
    for email in session.emails { self.line("e", email) }
    for phone in session.phones { self.line("p", phone) }
    self.line("c", session.connection?.text)
    for bandwidth in session.bandwidths { self.line("b", "\(bandwidth.type):\(bandwidth.value)") }
    for timing in session.timings.isEmpty ? [SDPTiming()] : session.timings {
      self.line("t", "\(timing.start) \(timing.stop)")
      for text in timing.repeats { self.line("r", text) }
    }
    self.line("z", session.timeZones)
    for attribute in session.attributes { self.write(attribute) }
    for media in session.media { self.write(media) }
  }

  mutating func write(_ media: MediaDescription) {
    let port = media.portCount.map { "\(media.port)/\($0)" } ?? "\(media.port)"
    self.line("m", (["\(media.kind)", port, media.protocolName] + media.formats).joined(separator: " "))
    self.line("i", media.information)
    self.line("c", media.connection?.text)
    for bandwidth in media.bandwidths { self.line("b", "\(bandwidth.type):\(bandwidth.value)") }
    for attribute in media.attributes { self.write(attribute) }
  }

  private mutating func write(_ attribute: SDPAttribute) {
    if let value = attribute.value {
      self.line("a", "\(attribute.name):\(value)")
    } else {
      self.line("a", attribute.name)
    }
  }

  /// Leaves CR, LF and NUL out of `value`, so that no value can start a line of its own.
  private mutating func line(_ type: String, _ value: String?) {
    guard let value else { return }
    self.text += type
    self.text += "="
    if value.utf8.contains(where: SDPWriter.breaksLine) {
      self.text += String(decoding: value.utf8.filter { !SDPWriter.breaksLine($0) }, as: UTF8.self)
    } else {
      self.text += value
    }
    self.text += "\r\n"
  }

  private static func breaksLine(_ byte: UInt8) -> Bool { byte == 0x0D || byte == 0x0A || byte == 0 }
}
