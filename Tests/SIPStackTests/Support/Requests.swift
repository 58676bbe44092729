internal import SIPStack

/// Requests that no endpoint of ours would write.
enum Requests {
  static func text(
    _ method: SIPMethod, uri: String = "sip:bob@192.0.2.2", from: String = "<sip:eve@192.0.2.1>;tag=f1",
    to: String = "<sip:bob@192.0.2.2>", callID: String = "c1", sequence: Int = 1, branch: String = "z9hG4bKx1",
    via: String = "SIP/2.0/UDP 192.0.2.1:5060;rport", headers: [String] = [], body: String = ""
  ) -> String {
    let lines =
      [
        "\(method) \(uri) SIP/2.0", "Via: \(via);branch=\(branch)", "From: \(from)", "To: \(to)", "Call-ID: \(callID)",
        "CSeq: \(sequence) \(method)",
      ] + headers + ["Content-Length: \(body.utf8.count)", "", body]
    return lines.joined(separator: "\r\n")
  }
}
