package import NetBase

/// How a datagram is given to a relay, for a peer: on a channel, or in a Send indication (RFC 8656 §11, §12).
package struct TURNFraming: Hashable, Sendable {
  package let server: SocketAddress
  package let peer: SocketAddress
  /// Nil while none is bound.
  package let channel: UInt16?
  /// The connection that it goes over; nil for UDP.
  package let link: RelayLink?
  let id: STUNTransactionID

  init(server: SocketAddress, peer: SocketAddress, channel: UInt16?, over link: RelayLink? = nil, id: STUNTransactionID)
  {
    (self.server, self.peer, self.channel, self.link, self.id) = (server, peer, channel, link, id)
  }

  /// Writes `payload`, framed, to the front of `packet`, whose room is the caller's; nothing is allocated.
  ///
  /// - Returns: false where it does not fit.
  package func frame(_ payload: RawSpan, in packet: inout Packet) -> Bool {
    let count = payload.byteCount
    guard count <= 0xFFFF else { return false }
    guard let channel else { return self.indicate(payload, in: &packet) }
    // Padded where nothing else says where it ends (RFC 8656 §12.5).
    let padded = self.link == nil ? count : (count + 3) / 4 * 4
    guard padded + 4 <= packet.capacity else { return false }
    packet.storage.set(uint16: channel, at: 0)
    packet.storage.set(uint16: UInt16(count), at: 2)
    packet.storage.copy(payload, at: 4)
    for place in count..<padded { packet.storage.set(uint8: 0, at: 4 + place) }
    packet.count = padded + 4
    return true
  }

  private func indicate(_ payload: RawSpan, in packet: inout Packet) -> Bool {
    let address = self.peer.family == .ipv4 ? 8 : 20
    let start = 20 + 4 + address + 4
    let padded = (payload.byteCount + 3) / 4 * 4
    guard start + padded <= packet.capacity, start + padded - 20 <= 0xFFFF else { return false }
    // Method Send, class indication.
    packet.storage.set(uint16: 0x0016, at: 0)
    packet.storage.set(uint16: UInt16(start + padded - 20), at: 2)
    packet.storage.set(uint32: STUNType.magicCookie, at: 4)
    packet.storage.set(uint32: self.id.high, at: 8)
    packet.storage.set(uint64: self.id.low, at: 12)
    packet.storage.set(uint16: STUNType.xorPeerAddress, at: 20)
    packet.storage.set(uint16: UInt16(address), at: 22)
    packet.storage.set(uint16: self.peer.family == .ipv4 ? 1 : 2, at: 24)
    packet.storage.set(uint16: self.peer.port ^ UInt16(STUNType.magicCookie >> 16), at: 26)
    switch self.peer.family {
    case .ipv4:
      packet.storage.set(uint32: UInt32(truncatingIfNeeded: self.peer.high >> 32) ^ STUNType.magicCookie, at: 28)
    case .ipv6:
      packet.storage.set(uint64: self.peer.high ^ (UInt64(STUNType.magicCookie) << 32 | UInt64(self.id.high)), at: 28)
      packet.storage.set(uint64: self.peer.low ^ self.id.low, at: 36)
    }
    packet.storage.set(uint16: STUNType.dataValue, at: start - 4)
    packet.storage.set(uint16: UInt16(payload.byteCount), at: start - 2)
    packet.storage.copy(payload, at: start)
    for place in payload.byteCount..<padded { packet.storage.set(uint8: 0, at: start + place) }
    packet.count = start + padded
    return true
  }
}

/// What a datagram is to someone who has relays.
package enum RelayReading: Sendable {
  /// It came from none of them, or is a message of the server's own.
  case notRelayed
  /// It is from a peer, or on a channel, that we asked for nothing: dropped and counted.
  case refused
  case relayed(RelayedDatagram)
}

/// What a relay has passed on: the peer's datagram within the relay's.
package struct RelayedDatagram: Hashable, Sendable {
  /// Which of the session's bases it came to.
  package let base: Int
  package let peer: SocketAddress
  /// Where the peer's datagram is.
  package let payload: Range<Int>

  package init(base: Int, peer: SocketAddress, payload: Range<Int>) {
    (self.base, self.peer, self.payload) = (base, peer, payload)
  }
}

/// Reads what comes from a relay; allocates nothing.
enum RelayedPayload {
  case onChannel(UInt16, Range<Int>)
  case from(SocketAddress, Range<Int>)

  /// Nil for what is neither ChannelData nor a Data indication with data.
  init?(_ datagram: RawSpan) {
    let count = datagram.byteCount
    guard count >= 4 else { return nil }
    let type = datagram.uint16(at: 0)
    let length = Int(datagram.uint16(at: 2))
    if (0x4000...0x4FFF).contains(type) {
      // Over UDP there may be padding behind it.
      guard length + 4 <= count else { return nil }
      self = .onChannel(type, 4..<(4 + length))
      return
    }
    // Method Data, class indication.
    guard type == 0x0017, count >= 20, length == count - 20, datagram.uint32(at: 4) == STUNType.magicCookie else {
      return nil
    }
    let id = STUNTransactionID(high: datagram.uint32(at: 8), low: datagram.uint64(at: 12))
    var peer: SocketAddress?
    var data: Range<Int>?
    var offset = 20
    while offset + 4 <= count {
      let size = Int(datagram.uint16(at: offset + 2))
      let start = offset + 4
      guard start + size <= count else { return nil }
      switch datagram.uint16(at: offset) {
      case STUNType.xorPeerAddress where peer == nil:
        peer = SocketAddress(stun: datagram.extracting(start..<(start + size)), maskedBy: id)
      case STUNType.dataValue where data == nil: data = start..<(start + size)
      default: break
      }
      offset = start + (size + 3) / 4 * 4
    }
    guard let peer, let data else { return nil }
    self = .from(peer, data)
  }
}
