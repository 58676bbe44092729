internal import NetBase

/// Provisional responses of ours that are repeated until their PRACK comes (RFC 3262 §3).
struct ReliableProvisionals {
  /// One that was sent and not confirmed yet.
  struct Outstanding {
    var sequence: UInt32
    var bytes: [UInt8]
    var path: SIPPath
    var backoff: Backoff
    var limit: Instant
    var hasBody: Bool
    /// Whether the body is an offer, so that the PRACK brings the answer.
    var isOffer: Bool
  }

  /// A provisional response that waits for the one before it.
  struct Waiting {
    var status: Int
    var reason: String?
    var headers: [(String, String)]
    var body: SIPBody?
  }

  /// A 2xx that waits because a description is not confirmed yet.
  struct WaitingAnswer {
    var headers: [(String, String)]
    var body: SIPBody?
  }

  /// RSeq of the next one.
  var nextSequence: UInt32
  var outstanding: Outstanding?
  var waiting: [Waiting] = []
  var answer: WaitingAnswer?
  /// Those that were given up for a final response: their PRACK is answered all the same.
  var abandoned: [UInt32] = []

  /// How many may wait; more are not sent.
  static let maximumWaiting = 16

  /// - Parameter first: the first RSeq, 1 to 2^31 - 1.
  init(first: UInt32) { self.nextSequence = first }

  var nextDeadline: Instant? { self.outstanding.map { min($0.backoff.next, $0.limit) } }

  /// A final response goes out: nothing is repeated any more.
  mutating func stop() {
    if let outstanding { self.abandoned.append(outstanding.sequence) }
    self.outstanding = nil
    self.waiting = []
    self.answer = nil
  }
}

/// The value of RAck: which provisional response a PRACK confirms (RFC 3262 §7.2).
struct RAck: Hashable, CustomStringConvertible {
  var responseNumber: UInt32
  var cseq: CSeq

  init(responseNumber: UInt32, cseq: CSeq) { (self.responseNumber, self.cseq) = (responseNumber, cseq) }

  init?(_ text: String) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    guard let number = scanner.take(while: \.isDigit).decimal(upTo: Int(UInt32.max)),
      let cseq = try? CSeq(scanner.rest())
    else { return nil }
    self.init(responseNumber: UInt32(number), cseq: cseq)
  }

  var description: String { "\(self.responseNumber) \(self.cseq)" }
}

/// What the other side said that it can do.
struct PeerCapabilities: Hashable {
  var supportsReliable = false
  var supportsTimers = false
  var allowsUpdate = false
  /// The packages of Recv-Info, in small letters.
  var receivedInfo: Set<String> = []

  init() {}

  init(_ headers: SIPHeaders) { self.note(headers) }

  /// Takes note of Supported, Require, Allow and Recv-Info; what a message leaves out stays as it was.
  mutating func note(_ headers: SIPHeaders) {
    func has(_ tag: String) -> Bool {
      (headers.list("Supported") + headers.list("Require")).contains { $0.isSame(ignoringCaseOf: tag) }
    }
    if has("100rel") { self.supportsReliable = true }
    if has("timer") { self.supportsTimers = true }
    if headers["Allow"] != nil { self.allowsUpdate = headers.list("Allow").contains(SIPMethod.update.name) }
    guard headers["Recv-Info"] != nil else { return }
    self.receivedInfo = Set(headers.list("Recv-Info").map { $0.prefix { $0 != ";" && $0 != " " }.lowercased() })
  }
}
