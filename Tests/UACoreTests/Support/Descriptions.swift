import Handoff
import NetBase
import TestSupport

/// A network that changes what SIP messages describe.
final class Descriptions: Sendable {
  /// A message on its way, by its first line's first word and whether a dialog has it already.
  struct Message: Sendable {
    let isRequest: Bool
    let sender: String
    /// Whether it is of an exchange after the call's first.
    let isInCall: Bool
    var body: [String]
  }

  typealias Change = @Sendable (inout Message) -> Void
  private let change = Locked<Change?>(nil)

  /// What a message with a description, or the 200 of one, becomes; `media` taps the rest of what is sent.
  init(_ network: SimulatedNetwork, media: @escaping @Sendable (Datagram) -> Bool = { _ in true }) {
    network.tap { [unowned network, change] datagram in
      guard datagram.isSignalling else { return media(datagram) }
      guard let change = change.withLock({ $0 }) else { return true }
      let parts = String(decoding: datagram.bytes, as: UTF8.self).split(
        separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
      let head = parts[0].split(separator: "\r\n").map(String.init)
      guard parts.count == 2, parts[1].hasPrefix("v=0") else { return true }
      let sequence = head.first { $0.hasPrefix("CSeq: ") }.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
      let isRequest = !head[0].hasPrefix("SIP/2.0")
      var message = Message(
        isRequest: isRequest, sender: datagram.source.host,
        isInCall: isRequest ? head.contains { $0.hasPrefix("To: ") && $0.contains("tag=") } : sequence > 1,
        body: parts[1].split(separator: "\r\n").map(String.init))
      let before = message.body
      change(&message)
      guard message.body != before else { return true }
      let body = message.body.isEmpty ? "" : message.body.joined(separator: "\r\n") + "\r\n"
      let lines = head.filter { !$0.hasPrefix("Content-Length:") && !(body.isEmpty && $0.hasPrefix("Content-Type:")) }
      let text = (lines + ["Content-Length: \(body.utf8.count)"]).joined(separator: "\r\n") + "\r\n\r\n" + body
      network.inject(Array(text.utf8), from: datagram.source, to: datagram.destination, isSignalling: true)
      return false
    }
  }

  func set(_ change: Change?) { self.change.withLock { $0 = change } }
}
