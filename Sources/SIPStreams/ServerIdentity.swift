internal import NIOCore
package import NIOSSL

/// Whether a server's certificate bears the name that was asked for (RFC 5922 §7.1).
///
/// NIOSSL is content with a certificate for the address that it connected to, whatever the name was. Who can lie about
/// the address of a name would then be believed with a certificate for an address of his own.
package enum ServerIdentity {
  package static func handler(_ context: NIOSSLContext, serverName: String?) throws -> NIOSSLClientHandler {
    guard let serverName, context.configuration.certificateVerification == .fullVerification else {
      return try NIOSSLClientHandler(context: context, serverHostname: serverName)
    }
    return try NIOSSLClientHandler._makeSSLClientHandler(context: context, serverHostname: serverName) {
      certificate, channel in
      let names = certificate._subjectAlternativeNames()
      // Without an address in it, what NIOSSL has matched was the name.
      guard names.contains(where: { $0.nameType == .ipAddress }) else {
        return channel.eventLoop.makeSucceededFuture(())
      }
      let isMatch = names.contains {
        $0.nameType == .dnsName && Self.matches(String(decoding: $0.contents, as: UTF8.self), serverName)
      }
      guard isMatch else { return channel.eventLoop.makeFailedFuture(NIOSSLExtraError.failedToValidateHostname) }
      return channel.eventLoop.makeSucceededFuture(())
    }
  }

  /// - Parameter pattern: a name of a certificate; its first label may be an asterisk, for one label.
  static func matches(_ pattern: String, _ name: String) -> Bool {
    let pattern = Self.labels(pattern)
    let name = Self.labels(name)
    guard pattern.count == name.count, pattern.dropFirst() == name.dropFirst() else { return false }
    return pattern.first == name.first || (pattern.first == "*" && pattern.count > 2)
  }

  private static func labels(_ name: String) -> [Substring] {
    var labels = name.lowercased().split(separator: ".", omittingEmptySubsequences: false)
    if labels.last?.isEmpty == true { labels.removeLast() }
    return labels
  }
}
