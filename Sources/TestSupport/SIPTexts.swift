/// Messages that a test of a transport sends: whole and sound, with nothing in them that matters.
package enum SIPTexts {
  /// A request of which `number` tells which it is.
  package static func request(_ number: Int = 1, bodyLength: Int = 0) -> [UInt8] {
    let body = String(repeating: "x", count: bodyLength)
    return Array(
      """
      MESSAGE sip:bob@127.0.0.1 SIP/2.0\r
      Call-ID: \(number)\r
      Content-Length: \(bodyLength)\r
      \r
      \(body)
      """.utf8)
  }
}
