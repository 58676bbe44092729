internal import ArgumentParser
internal import ModuleKit
internal import UACore

/// Turns the text of options into values, or into the sentence that says what is allowed.
enum Parse {
  /// One of an enum's words.
  static func choice<Choice: RawRepresentable & CaseIterable>(_ text: String) throws -> Choice
  where Choice.RawValue == String {
    if let choice = Choice(rawValue: text.lowercased()) { return choice }
    throw ValidationError("it takes one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
  }

  static func integer(_ range: ClosedRange<Int>) -> @Sendable (String) throws -> Int {
    { text in
      guard let number = Int(text), range.contains(number) else {
        throw ValidationError("it takes a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
  }

  /// Refuses a name that is empty, as that of a shell's variable that is not set.
  static func named(_ name: String?, _ sentence: String) throws {
    if name == "" { throw ValidationError(sentence) }
  }

  /// A number above zero: a rate, a time.
  static func positive(_ text: String) throws -> Double {
    guard let number = Double(text), number > 0, number <= 31_536_000 else {
      throw ValidationError("it takes a number above 0, and 31536000 at most")
    }
    return number
  }

  static func decimal(_ range: ClosedRange<Double>) -> @Sendable (String) throws -> Double {
    { text in
      guard let number = Double(text), range.contains(number) else {
        throw ValidationError("it takes a number from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
  }

  static func yesOrNo(_ text: String) throws -> Bool {
    switch text.lowercased() {
    case "yes", "true", "on", "1": return true
    case "no", "false", "off", "0": return false
    default: throw ValidationError("it takes yes or no")
    }
  }

  /// A codec of this build, `opus` or `opus/48000/2`.
  static func codec(_ text: String) throws -> CodecPreference {
    let known = compiledCodecs()
    let isThere: (CodecPreference) -> Bool = { codec in
      known.contains { codec.matches(name: $0.encodingName, clockRate: $0.clockRate, channels: $0.channels) }
    }
    if let codec = CodecPreference(text), isThere(codec) { return codec }
    let names = known.map {
      "\($0.encodingName.lowercased())/\($0.clockRate)\($0.channels == 1 ? "" : "/\($0.channels)")"
    }
    throw ValidationError("this apus has the codecs \(names.joined(separator: ", "))")
  }

  /// An address of SIP to call, with or without `sip:`.
  static func uri(_ text: String) throws -> String {
    let uri = try self.address(text)
    if Account(uri: uri)?.address.port == 0 { throw ValidationError("nobody can be reached at port 0") }
    return uri
  }

  /// An address of SIP to listen at; port 0 is any that is free.
  static func address(_ text: String) throws -> String {
    let lower = text.lowercased()
    let uri = lower.hasPrefix("sip:") || lower.hasPrefix("sips:") ? text : "sip:\(text)"
    let isOther = self.otherSchemes.contains { lower.hasPrefix("\($0):") }
    guard !isOther, let account = Account(uri: uri) else {
      throw ValidationError("it takes a SIP URI, for example sip:bob@192.0.2.1")
    }
    // The modules are named after the transports.
    let transports = compiledModules.map { $0.name }.filter { $0.hasPrefix("sip_") }.map { String($0.dropFirst(4)) }
    if let transport = account.address.transport, !transports.contains(transport) {
      throw ValidationError("transport=\(transport): it takes one of \(transports.joined(separator: ", "))")
    }
    return uri
  }

  /// Of URIs that would pass for a host and a port, or a user and a password.
  private static let otherSchemes = ["tel", "mailto", "im", "pres", "xmpp", "h323", "http", "https"]
}
