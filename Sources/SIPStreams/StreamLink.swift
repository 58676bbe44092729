internal import NIOCore
internal import NetBase
internal import Runtime
internal import Synchronization

/// What a connection tells main.
enum StreamEvent: Sendable {
  /// Messages can travel.
  case opened(any Channel, peer: NetBase.SocketAddress, local: NetBase.SocketAddress)
  case messages([[UInt8]])
  case pong
  case closed(reason: String)
}

/// The two sides of a connection know each other by this: main's record and its NIO thread. Any thread may touch it.
final class StreamLink: Sendable {
  let limits: StreamLimits
  let tally: StreamTally
  /// Whether the peer opened the connection.
  let isAccepted: Bool
  private let main: Runtime.EventLoop
  private let owner: LoopBound<WeakStreamTransport>
  /// Bytes that main has been handed and not taken.
  private let unread = Atomic<Int>(0)
  /// Bytes that were sent and are not in the kernel yet.
  private let unsent = Atomic<Int>(0)

  init(
    limits: StreamLimits, tally: StreamTally, isAccepted: Bool, main: Runtime.EventLoop,
    owner: LoopBound<WeakStreamTransport>
  ) {
    (self.limits, self.tally, self.isAccepted) = (limits, tally, isAccepted)
    (self.main, self.owner) = (main, owner)
  }

  // MARK: The connection's thread

  func post(_ event: StreamEvent) {
    let owner = self.owner
    self.main.execute { _ in owner.withValue { $0.transport?.handle(event, of: self) } }
  }

  /// - Returns: whether main has more to take now than the limit.
  func hand(_ messages: [[UInt8]]) -> Bool {
    let weight = Self.weight(messages)
    let before = self.unread.add(weight, ordering: .sequentiallyConsistent).oldValue
    self.post(.messages(messages))
    return before + weight > self.limits.unreadBytes
  }

  var isBehind: Bool { self.unread.load(ordering: .sequentiallyConsistent) > self.limits.unreadBytes / 2 }

  func sent(_ count: Int) { self.unsent.subtract(count, ordering: .relaxed) }

  // MARK: Main

  /// - Returns: whether reading may have to go on.
  func took(_ messages: [[UInt8]]) -> Bool {
    let weight = Self.weight(messages)
    let (before, after) = self.unread.subtract(weight, ordering: .sequentiallyConsistent)
    return before > self.limits.unreadBytes / 2 && after <= self.limits.unreadBytes / 2
  }

  /// - Returns: false when too much waits already.
  func reserve(_ count: Int) -> Bool {
    guard self.unsent.load(ordering: .relaxed) + count <= self.limits.unsentBytes else { return false }
    self.unsent.add(count, ordering: .relaxed)
    return true
  }

  /// A message costs its bytes and what is kept beside them.
  private static func weight(_ messages: [[UInt8]]) -> Int { messages.reduce(0) { $0 + $1.count + 256 } }
}

/// A reference that does not keep the transport alive.
struct WeakStreamTransport {
  weak var transport: StreamTransport?
}
