internal import Handoff

/// A transport's end of the lane to main: events that the lane did not take wait here, in order.
struct EventOutbox: ~Copyable {
  private let events: Mailbox<TransportEvent>
  /// Made when main is slow for the first time.
  private var waiting: Ring<Disconnected<TransportEvent>>?
  /// Events that found both the lane and the waiting room full.
  private(set) var dropCount = 0

  init(_ events: Mailbox<TransportEvent>) { self.events = events }

  private var waitingCount = 0

  /// Events that wait at most, and those of them that a peer may cause: it can send as many as it likes, and must not
  /// take the place of `closed` or of a key.
  private static let capacity = 256
  private static let capacityOfPeer = 128

  var hasWaiting: Bool { self.waitingCount > 0 }

  mutating func post(_ event: consuming sending TransportEvent) {
    if self.hasWaiting { return self.keep(event) }
    if let returned = self.events.offer(event) { self.keep(returned) }
  }

  /// Tries again what waited.
  mutating func flush() {
    guard self.hasWaiting else { return }
    while let event = self.waiting?.removeFirst() {
      self.waitingCount -= 1
      guard let returned = self.events.offer(event.take()) else { continue }
      var parcel: Disconnected<TransportEvent>? = Disconnected(returned)
      self.waiting?.prepend(&parcel)
      self.waitingCount += 1
      return
    }
  }

  /// What the stream tells main.
  mutating func tell(_ event: StreamEvent) {
    switch event {
    case .sending: self.post(.sending)
    case .established: self.post(.established)
    case .digit(let digit): self.post(.digit(digit))
    case .digitsRefused(let digits): self.post(.digitsRefused(digits))
    case .peerReported: self.post(.peerReported)
    case .goodbye: self.post(.goodbye)
    case .timedOut: self.post(.timedOut)
    case .sourceEnded: self.post(.sourceEnded)
    }
  }

  private mutating func keep(_ event: consuming sending TransportEvent) {
    if event.isOfPeer, self.waitingCount >= Self.capacityOfPeer {
      self.dropCount += 1
      return
    }
    var parcel: Disconnected<TransportEvent>? = Disconnected(event)
    if self.waiting == nil { self.waiting = Ring(capacity: Self.capacity) }
    self.waiting?.append(&parcel)
    if parcel == nil { self.waitingCount += 1 } else { self.dropCount += 1 }
  }
}

extension TransportEvent {
  /// Whether each packet of a peer's may cause one.
  fileprivate var isOfPeer: Bool {
    switch self {
    case .digit: true
    case .peerReported: true
    case .goodbye: true
    default: false
    }
  }
}
