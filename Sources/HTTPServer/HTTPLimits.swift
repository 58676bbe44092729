/// What one peer may cost.
package struct HTTPLimits: Sendable {
  /// Connections at the same time; more are closed at once.
  package var connections = 64
  /// Bytes of a request's header fields, together.
  package var headerLength = 16_384
  /// Bytes of a request's body.
  package var bodyLength = 65_536
  /// Milliseconds for a request to arrive whole, from the first of its connection or from the response before.
  package var requestTime = 10_000
  /// Requests that one host may send in a second; more are answered with 429.
  package var requestsPerSecond = 100

  package init() {}
}
