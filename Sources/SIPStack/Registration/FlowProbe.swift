internal import ICEAgent
internal import NetBase

/// Asks over UDP whether a registrar's edge still hears us, and as whom, by STUN (RFC 5626 §3.5.2, §4.4.2).
///
/// One request at a time, repeated as RFC 8489 §6.2.1 has it, but given up after 15.5 s: the next is due by then.
struct FlowProbe {
  enum Verdict: Equatable {
    case alive
    case failed(String)
  }

  /// When the request is to be sent again, or given up; nil while none is on its way.
  private(set) var next: Instant?
  /// Whether a request was ever answered: an edge that has never done so may not know STUN.
  private(set) var isAnswered = false
  private var id: STUNTransactionID?
  private var sent = 0
  /// As whom the edge sees us.
  private var mapped: SocketAddress?

  private static let attempts = 5
  private static let firstWait: Int64 = 500

  /// Whether a request is on its way.
  var isAsking: Bool { self.id != nil }

  /// The first request of a new transaction.
  mutating func ask(using generator: inout SeededGenerator, now: Instant) -> [UInt8] {
    self.id = STUNTransactionID(
      high: UInt32.random(in: 0 ... .max, using: &generator), low: UInt64.random(in: 0 ... .max, using: &generator))
    self.sent = 0
    return self.request(now: now)
  }

  /// The request again; nil when it was sent often enough, and is given up.
  mutating func repeated(now: Instant) -> [UInt8]? {
    guard self.sent < Self.attempts else {
      (self.id, self.next) = (nil, nil)
      return nil
    }
    return self.request(now: now)
  }

  private mutating func request(now: Instant) -> [UInt8] {
    guard let id else { return [] }
    self.next = now.advanced(byMilliseconds: Self.firstWait << self.sent)
    self.sent += 1
    return STUNWriter(.request, id: id).bytes
  }

  /// What a message says; nil when it does not answer the request.
  mutating func take(_ message: STUNMessage) -> Verdict? {
    guard let id, message.id == id, message.method == 1 else { return nil }
    switch message.messageClass {
    case .success:
      guard let address = message.mappedAddress else { return nil }
      (self.id, self.next, self.isAnswered) = (nil, nil, true)
      defer { self.mapped = address }
      if let mapped, mapped != address { return .failed("the address that the registrar sees changed to \(address)") }
      return .alive
    case .failure:
      (self.id, self.next) = (nil, nil)
      return .failed("the keep-alive was refused with \(message.errorCode ?? 0)")
    default: return nil
    }
  }
}
