/// What the connections of one transport ask for, how much they may hold, and for how long.
package struct StreamLimits: Sendable {
  /// What a WebSocket of ours asks for, in HTTP's request line.
  package var resource = "/"
  /// Connections that peers opened, at the same time; more are closed at once.
  package var connections = 1024
  /// Bytes of the longest message.
  package var messageLength = 65_536
  /// Bytes of one connection that wait for main; reading stops above that.
  package var unreadBytes = 262_144
  /// Bytes of one connection that wait for the peer to read; more are refused.
  package var unsentBytes = 1 << 20
  /// From the first packet until a message can travel, TLS and WebSocket included.
  package var setup: Duration = .seconds(10)
  /// From the first byte of a message to its last, and for the first message of a connection that the peer opened.
  package var message: Duration = .seconds(30)
  /// Without a message or keepalive on a connection that the peer opened.
  package var idle: Duration = .seconds(3600)
  /// How long nothing travels on a connection of ours before it is asked for a sign of life; zero is never.
  package var keepalive: Duration = .seconds(110)
  /// Until a peer that gave signs of life before has given the next.
  package var pong: Duration = .seconds(10)

  package init() {}

  /// How often a connection's times are looked at.
  var interval: Duration {
    var shortest = min(self.setup, self.message, self.idle, self.pong)
    if self.keepalive > .zero { shortest = min(shortest, self.keepalive) }
    return max(.milliseconds(5), min(shortest / 4, .seconds(5)))
  }
}
