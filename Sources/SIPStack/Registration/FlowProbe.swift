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
  /// Whether a request was ever answered.
  private(set) var isAnswered = false
  /// Whether none was in the whole of its time: the edge may not know STUN.
  private var isUnknown = false
  /// The request that is on its way.
  private var id: STUNTransactionID?
  private var sent = 0
  /// As whom the edge sees us.
  private var mapped: SocketAddress?

  private static let attempts = 5
  private static let firstWait: Int64 = 500

  /// Whether a request is on its way.
  var isAsking: Bool { self.id != nil }

  /// The first request of a new transaction; nil where the edge may not know STUN.
  mutating func ask(using generator: inout SeededGenerator, now: Instant) -> [UInt8]? {
    guard !self.isUnknown else { return nil }
    let id = STUNTransactionID(using: &generator)
    (self.id, self.sent) = (id, 0)
    return self.request(id, now: now)
  }

  /// The request again; nil when it was sent often enough, and is given up.
  mutating func repeated(now: Instant) -> [UInt8]? {
    guard let id, self.sent < Self.attempts else {
      (self.id, self.next, self.isUnknown) = (nil, nil, !self.isAnswered)
      return nil
    }
    return self.request(id, now: now)
  }

  private mutating func request(_ id: STUNTransactionID, now: Instant) -> [UInt8] {
    self.next = now.advanced(byMilliseconds: Self.firstWait << self.sent)
    self.sent += 1
    return STUNWriter(.request, id: id).bytes
  }

  /// What a message says; nil when it does not answer the request.
  mutating func take(_ message: STUNMessage) -> Verdict? {
    guard let id, message.id == id, message.method == STUNType.binding else { return nil }
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
