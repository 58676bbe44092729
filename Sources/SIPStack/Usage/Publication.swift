/// Publishes an event state at a compositor (RFC 3903): the first PUBLISH, refreshes, changes, and the end. No clock and no
/// socket: it says what to send and when to come again.
///
/// One request is under way at a time; a change that comes meanwhile follows it.
package struct Publication: ~Copyable {
  /// What is to be done next.
  package enum Action: Equatable {
    case none
    /// Send PUBLISH with these header fields; the state is in it where `hasBody`.
    case send(headers: [Header], hasBody: Bool)
    /// Call `refresh` after so many seconds.
    case refresh(after: Int)
    /// Call `retry` after so many seconds: the compositor has refused, and knows nothing of us.
    case retry(after: Int, reason: String)
    /// There is nothing left at the compositor.
    case over
  }

  /// A header field of a request.
  package struct Header: Equatable {
    package let name: String
    package let value: String
  }

  private enum State {
    case idle
    /// What is under way, and whether something came meanwhile.
    case asking(Request)
    case published
    case over
  }

  private enum Request { case state, refresh, removal }

  private let event: String
  private var expires: Int
  private var state = State.idle
  /// Names what the compositor has of us (RFC 3903 §11.3.1); nil for nothing.
  private var entityTag: String?
  private var hasChanged = false
  private var isLeaving = false
  /// How often in a row a lifetime was too brief, or an entity tag unknown.
  private var corrections = 0
  private var failures = 0

  private static let maximumCorrections = 3
  private static let maximumExpires = 7 * 86_400

  /// - Parameters:
  ///   - event: the package, for example `presence`.
  ///   - expires: seconds that are asked for.
  package init(event: String, expires: Int) { (self.event, self.expires) = (event, expires) }

  /// The state is there, or another than before.
  package mutating func publish() -> Action {
    if self.isLeaving { return .none }
    switch self.state {
    case .asking:
      self.hasChanged = true
      return .none
    case .idle, .published: return self.send(.state)
    case .over: return .none
    }
  }

  /// The lifetime is about to end.
  package mutating func refresh() -> Action {
    guard case .published = self.state else { return .none }
    return self.send(self.entityTag == nil ? .state : .refresh)
  }

  /// The time to wait after a refusal is over.
  package mutating func retry() -> Action {
    guard case .idle = self.state else { return .none }
    return self.send(.state)
  }

  /// Takes back what was published.
  package mutating func remove() -> Action {
    if self.isLeaving { return .none }
    self.isLeaving = true
    switch self.state {
    case .asking: return .none
    case .published: return self.entityTag == nil ? self.finish() : self.send(.removal)
    case .idle, .over: return self.finish()
    }
  }

  /// The final response; nil where none came.
  ///
  /// - Parameters:
  ///   - headers: of the response.
  ///   - retryAfter: seconds of its Retry-After.
  package mutating func take(status: Int?, reason: String, headers: SIPHeaders = SIPHeaders()) -> Action {
    guard case .asking(let request) = self.state else { return .none }
    switch status {
    case .some(200..<300): return self.accepted(request, headers)
    // What it had of us is gone (RFC 3903 §6): the whole state follows, unless it was to go.
    case 412 where self.entityTag != nil:
      self.entityTag = nil
      if self.isLeaving { return self.finish() }
      self.corrections += 1
      if self.corrections <= Self.maximumCorrections { return self.send(.state) }
    case 423 where request != .removal:
      let minimum = headers["Min-Expires"]?.trimmed.decimal(upTo: Self.maximumExpires)
      guard let minimum, minimum > self.expires, self.corrections < Self.maximumCorrections else { break }
      self.corrections += 1
      self.expires = minimum
      return self.send(request)
    default: break
    }
    if self.isLeaving { return request != .removal && self.entityTag != nil ? self.send(.removal) : self.finish() }
    return self.failed(status, reason, headers)
  }

  private mutating func accepted(_ request: Request, _ headers: SIPHeaders) -> Action {
    (self.corrections, self.failures) = (0, 0)
    if request == .removal { return self.finish() }
    self.entityTag = headers["SIP-ETag"]?.trimmed
    self.state = .published
    if self.isLeaving { return self.entityTag == nil ? self.finish() : self.send(.removal) }
    if self.hasChanged { return self.send(.state) }
    let granted = headers["Expires"]?.trimmed.decimal(upTo: Self.maximumExpires) ?? self.expires
    return .refresh(after: granted > 64 ? granted - 32 : max(1, granted / 2))
  }

  /// What it had of us may still be there, but no longer than that was to last.
  private mutating func failed(_ status: Int?, _ reason: String, _ headers: SIPHeaders) -> Action {
    self.state = .idle
    self.entityTag = nil
    self.hasChanged = false
    self.corrections = 0
    self.failures += 1
    let asked = headers["Retry-After"].flatMap { text in
      var scanner = TextScanner(text)
      return scanner.take(while: \.isDigit).decimal(upTo: 86_400)
    }
    let wait = asked ?? min(1_800, 30 << min(self.failures - 1, 6))
    return .retry(after: max(1, wait), reason: status.map { "\($0) \(reason)" } ?? reason)
  }

  private mutating func finish() -> Action {
    self.state = .over
    return .over
  }

  private mutating func send(_ request: Request) -> Action {
    self.state = .asking(request)
    if request == .state { self.hasChanged = false }
    var headers = [
      Header(name: "Event", value: self.event),
      Header(name: "Expires", value: request == .removal ? "0" : "\(self.expires)"),
    ]
    if let entityTag { headers.append(Header(name: "SIP-If-Match", value: entityTag)) }
    return .send(headers: headers, hasBody: request == .state)
  }
}
