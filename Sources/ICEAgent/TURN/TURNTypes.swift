internal import NetBase

/// What an allocation asks of its session, to be taken until nil after each call.
enum TURNAction {
  /// A connection to the server.
  case connect
  /// From the allocation's socket, or over its connection, to its server.
  case send([UInt8])
  /// The connection has no use any more.
  case disconnect
  /// The relay is there.
  case made(relayed: SocketAddress, mapped: SocketAddress?)
  /// It never will be; the reason is a sentence for the user.
  case failed(String)
  /// It was, and is no more.
  case lost(String)
  /// Data for the peer takes another form from now on.
  case bound
}

/// A request to a TURN server that waits for its response.
struct TURNRequest {
  enum Purpose: Hashable {
    case allocate
    case refresh
    case release
    case permission(SocketAddress)
    case channel(UInt16, SocketAddress)

    var method: UInt16 {
      switch self {
      case .allocate: STUNType.allocate
      case .refresh, .release: STUNType.refresh
      case .permission: STUNType.createPermission
      case .channel: STUNType.channelBind
      }
    }
  }

  let purpose: Purpose
  let id: STUNTransactionID
  let bytes: [UInt8]
  /// Nil while the server has asked for no credentials.
  let key: STUNKey?
  /// How often it was refused for its nonce, or for having none.
  let challenges: Int
  /// When it goes again, or is given up.
  var due: Instant
  /// Milliseconds.
  var timeout = ICETransaction.initialTimeout
  var sends = 1
}

/// Whom the relay lets in (RFC 8656 §9): a host, whatever its port.
struct TURNPermission {
  enum State { case asked, given, refused }

  let host: SocketAddress
  var state = State.asked
  var refreshAt: Instant?
  /// What waits for it.
  var waiting: [(bytes: [UInt8], peer: SocketAddress)] = []
}

/// A number that stands for a peer (RFC 8656 §12).
struct TURNChannel {
  let number: UInt16
  let peer: SocketAddress
  var isBound = false
  var refreshAt: Instant?
}
