internal import NIOCore
internal import NetBase
internal import SIPStack

/// A connection as main has it.
final class StreamConnection {
  /// What makes two messages travel on the same connection (RFC 3261 §18, RFC 5923 §5).
  struct Key: Hashable {
    let address: NetBase.SocketAddress
    let serverName: String?
    let certificate: String?
  }

  enum State {
    /// With the messages that wait for it to open.
    case opening([[UInt8]])
    case open(any Channel)
  }

  let flow: SIPFlow
  let link: StreamLink
  /// What it is found by; nil for one that is found by its flow only.
  let key: Key?
  let peer: NetBase.SocketAddress
  var local: NetBase.SocketAddress
  var state: State

  init(
    flow: SIPFlow, link: StreamLink, key: Key?, peer: NetBase.SocketAddress, local: NetBase.SocketAddress, state: State
  ) {
    (self.flow, self.link, self.key) = (flow, link, key)
    (self.peer, self.local, self.state) = (peer, local, state)
  }

  /// - Returns: false when the peer has too much to read already.
  func send(_ bytes: [UInt8]) -> Bool {
    guard self.link.reserve(bytes.count) else { return false }
    switch self.state {
    case .opening(let waiting): self.state = .opening(waiting + [bytes])
    case .open(let channel): self.write(bytes, channel)
    }
    return true
  }

  /// Sends what has waited.
  func open(_ channel: any Channel) {
    guard case .opening(let waiting) = self.state else { return }
    self.state = .open(channel)
    for bytes in waiting { self.write(bytes, channel) }
  }

  private func write(_ bytes: [UInt8], _ channel: any Channel) {
    let (count, link) = (bytes.count, self.link)
    channel.writeAndFlush(ByteBuffer(bytes: bytes)).whenComplete { _ in link.sent(count) }
  }
}
