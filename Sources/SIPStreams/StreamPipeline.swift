internal import NIOCore
internal import NIOSSL
internal import NetBase
internal import SIPStack

/// Puts together what a connection consists of; on its NIO thread.
enum StreamPipeline {
  static func accepted(_ kind: SIPTransportKind, _ state: StreamState, tls: NIOSSLContext?) throws {
    let pipeline = state.channel.pipeline.syncOperations
    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
    if kind.isWebSocket {
      try WebSocketUpgrade.server(state)
    } else {
      try pipeline.addHandler(StreamHandler(state, waitsForTLS: tls != nil))
    }
  }

  /// - Parameter host: as HTTP's Host has it, for WebSocket.
  static func connecting(
    _ kind: SIPTransportKind, _ state: StreamState, tls: NIOSSLContext?, serverName: String?, host: String
  ) throws {
    let pipeline = state.channel.pipeline.syncOperations
    if let tls { try pipeline.addHandler(ServerIdentity.handler(tls, serverName: serverName)) }
    if kind.isWebSocket {
      try WebSocketUpgrade.client(state, host: host)
    } else {
      try pipeline.addHandler(StreamHandler(state, waitsForTLS: tls != nil))
    }
  }
}
