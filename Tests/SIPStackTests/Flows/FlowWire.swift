internal import NetBase
internal import SIPStack

/// What may be seen of the agents' messages, whatever their users do.
extension FlowNetwork {
  /// Watches one message on its way out.
  func watch(_ bytes: [UInt8], _ path: SIPPath, from sender: FlowAgent) {
    // A keep-alive, an ACK.
    guard bytes.count > 8, !bytes.starts(with: Array("ACK".utf8)) else { return }
    if bytes.starts(with: Array("SIP/".utf8)) {
      self.watch(response: bytes, path, from: sender)
    } else {
      self.watch(request: bytes, path, from: sender)
    }
  }

  /// A request may be repeated as often as its timers allow, and never over a connection.
  private func watch(request bytes: [UInt8], _ path: SIPPath, from sender: FlowAgent) {
    let limit = path.transport.isReliable ? 1 : bytes.starts(with: Array("INVITE".utf8)) ? 7 : 11
    let count = self.count(bytes)
    if count == 1 { self.watch(credentials: bytes, from: sender) }
    if count == limit + 1 { sender.violate("sends a request for the \(count)th time: \(Self.line(bytes))") }
  }

  /// A nonce is never used twice with one count (RFC 7616 §3.4).
  private func watch(credentials bytes: [UInt8], from sender: FlowAgent) {
    guard let value = Self.header("Authorization", in: bytes), let nonce = Self.parameter("nonce=", of: value) else {
      return
    }
    let use = "\(sender.index) \(sender.generation) \(nonce) \(Self.parameter("nc=", of: value) ?? "")"
    if !self.credentials.insert(use).inserted { sender.violate("uses a nonce twice: \(Self.line(bytes))") }
    // What is asked for outside of dialogs comes to an end, however often it is challenged.
    guard let to = Self.header("To", in: bytes), !to.contains(";tag="), !bytes.starts(with: Array("REGISTER".utf8))
    else { return }
    let tries = self.count(Array("tries of \(Self.header("Call-ID", in: bytes) ?? "")".utf8))
    if tries == 16 { sender.violate("tries its password again and again: \(Self.line(bytes))") }
  }

  private func watch(response bytes: [UInt8], _ path: SIPPath, from sender: FlowAgent) {
    self.watch(reliable: bytes, from: sender)
    guard self.plan.isClean, bytes[8] > UInt8(ascii: "1"),
      let method = Self.header("CSeq", in: bytes)?.split(separator: " ").last
    else { return }
    let isFailure = bytes[8] > UInt8(ascii: "2")
    if method == "INVITE" {
      // The ACK ends it: never over a connection is a failure repeated, and over UDP not until timer H.
      let limit = isFailure && path.transport.isReliable ? 1 : 10
      if self.count(bytes) == limit + 1 { sender.violate("finds no ACK of \(Self.line(bytes))") }
    }
    guard isFailure else { return }
    let what = "answers \(method) with \(Self.line(bytes))"
    switch String(decoding: bytes[8..<11], as: UTF8.self) {
    case "481" where method == "CANCEL" || method == "PRACK":
      let names = ["Call-ID", "From", "To"].map { Self.header($0, in: bytes) ?? "" }
      // A CANCEL does not know the callee's tag.
      let name = "\(names[0]) \(Self.tag(names[1])) " + (method == "PRACK" ? Self.tag(names[2]) : "")
      let isLive = sender.calls.values.contains { !$0.isOutgoing && $0.name?.hasPrefix(name) ?? false }
      if isLive { sender.violate("\(what), and the call lives") }
    case "482": sender.violate(what)
    case "500" where method != "INVITE" && method != "UPDATE":
      // Nothing overtakes anything here.
      if self.plan.isOrderly { sender.violate(what) }
    default: break
    }
  }

  /// A 2xx waits until the description of a reliable response is confirmed (RFC 3262 §3).
  private func watch(reliable bytes: [UInt8], from sender: FlowAgent) {
    guard bytes[8] < UInt8(ascii: "3"), Self.header("CSeq", in: bytes)?.hasSuffix("INVITE") ?? false else { return }
    let names = ["Call-ID", "From", "To"].map { Self.header($0, in: bytes) ?? "" }
    let name = "\(names[0]) \(Self.tag(names[1])) \(Self.tag(names[2]))"
    if bytes[8] == UInt8(ascii: "2") {
      if sender.unconfirmed.contains(name) { sender.violate("answers before its description is confirmed") }
    } else if !bytes.suffix(4).elementsEqual([13, 10, 13, 10]), let number = Self.header("RSeq", in: bytes),
      sender.told.updateValue(sender.now, forKey: "\(name) \(number)") == nil
    {
      sender.unconfirmed.insert(name)
    }
  }

  private static func line(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix { $0 != 13 }, as: UTF8.self) }

  private static func header(_ name: String, in bytes: [UInt8]) -> String? {
    let text = String(decoding: bytes, as: UTF8.self)
    let line = text.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }
    return line.map { String($0.dropFirst(name.count + 2)) }
  }

  private static func tag(_ value: String) -> Substring { value.split(separator: ";tag=").last ?? "" }

  private static func parameter(_ name: String, of value: String) -> Substring? {
    value.split(whereSeparator: { $0 == " " || $0 == "," }).first { $0.hasPrefix(name) }
  }
}
