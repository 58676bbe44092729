package import NetBase

/// One binding that is kept at a registrar, for as long as the endpoint lives or until it is removed.
package struct RegistrationID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  package var description: String { "registration \(self.value)" }
}

/// What is registered where (RFC 3261 §10.2).
package struct RegistrationSettings: Sendable {
  /// The address of record: From and To.
  package var addressOfRecord: NameAddress
  /// The registrar: the request URI, without a user.
  package var registrar: SIPURI
  /// Where REGISTER is sent, the first that works: outbound proxies, or the registrar itself.
  package var servers: [SIPURI]
  /// Our own address, which stands in Via and Contact unless the target names another.
  package var local: SocketAddress
  /// The Contact; nil makes it of the user of the address of record and of the path that is used.
  package var contact: SIPURI?
  /// More contacts that are bound beside it, such as `tel:` or an answering machine's.
  package var moreContacts: [NameAddress]
  /// Parameters of the Contact header field besides ours, such as `q` and feature tags.
  package var contactParameters: [(String, String?)]
  /// What is asked for, in seconds.
  package var interval: Int
  /// When to register again, in percent of what the registrar grants; 5 to 95.
  package var refreshPercent: Int
  /// `urn:uuid:…` of this device, for GRUU and outbound (RFC 5626 §4.1); nil leaves both out.
  package var instance: String?
  /// Which of the device's flows this is, from 1 (RFC 5626 §4.2); nil leaves outbound out.
  package var flowNumber: Int?
  /// Time between two pings; nil takes what RFC 5626 §4.4.1 says when the registrar agrees to outbound, else none.
  package var keepAlive: Duration?
  package var headers: [(String, String)]
  package var account: SIPAccountID?

  /// - Parameter servers: the registrar itself when empty.
  package init(
    addressOfRecord: NameAddress, registrar: SIPURI, servers: [SIPURI] = [], local: SocketAddress,
    contact: SIPURI? = nil, interval: Int = 3_600, refreshPercent: Int = 90, instance: String? = nil,
    flowNumber: Int? = nil, keepAlive: Duration? = nil, account: SIPAccountID? = nil
  ) {
    (self.addressOfRecord, self.registrar, self.local, self.contact) = (addressOfRecord, registrar, local, contact)
    self.servers = servers.isEmpty ? [registrar] : servers
    (self.moreContacts, self.contactParameters, self.headers) = ([], [], [])
    (self.interval, self.instance, self.flowNumber) = (interval, instance, flowNumber)
    self.refreshPercent = min(max(refreshPercent, 5), 95)
    (self.keepAlive, self.account) = (keepAlive, account)
  }
}

/// How a registration stands.
package enum RegistrationEvent: Sendable {
  /// A REGISTER is on its way to bind or to refresh.
  case registering
  case registered(RegistrationResult)
  /// The binding does not stand, or is in doubt. The status is nil when no response came; `retry` is the time until the
  /// next try, nil when there is none before the user asks for it.
  case failed(status: Int?, reason: String, retry: Duration?)
  /// The binding is removed, as far as that was possible; the last event.
  case unregistered
}

/// What the registrar granted.
package struct RegistrationResult: Sendable {
  /// Seconds.
  package let expires: Int
  /// All contacts that the registrar has for this address of record.
  package let contacts: [NameAddress]
  /// The Contact of ours that is bound.
  package let contact: NameAddress
  /// The proxies that requests of this account pass, nearest first (RFC 3608).
  package let serviceRoute: [NameAddress]
  /// The proxies that the registrar reaches us by (RFC 3327).
  package let path: [NameAddress]
  /// Identities that the registrar has for us, the default first (RFC 3455 §4.1).
  package let associatedURIs: [NameAddress]
  /// The Contact for calls of this account, where the registrar gives one (RFC 5627).
  package let publicGRUU: SIPURI?
  package let temporaryGRUU: SIPURI?
  /// Whether the edge proxy keeps the flow and routes our calls over it (RFC 5626).
  package let isOutbound: Bool
  /// The path that was used, with its flow where it has one.
  package let route: SIPPath
  /// The one of the settings' servers that it was sent to.
  package let server: SIPURI
}
