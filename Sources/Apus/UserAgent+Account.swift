internal import UACore

extension UserAgent {
  /// Who an agent is at its registrar and its proxy. Printed, it shows no password.
  ///
  /// While it is registered, calls are taken from its registrar's address only.
  public struct Account: Sendable {
    /// The address of record, for example `sip:alice@example.com`; its host is the registrar.
    public var address: String
    /// Answers challenges to REGISTER, INVITE and MESSAGE (RFC 3261 §22); nil for no answer.
    public var password: String?
    /// The user name that goes with the password; nil is the user of `address`.
    public var authenticationUser: String?
    /// What people are shown; one line.
    public var displayName: String?
    /// Seconds for which the agent is registered at a time, up to a year; 0 doesn't register, nil is an hour and up to 255
    /// more at random.
    public var registrationInterval: Int?
    /// Where requests go first, for example `sip:proxy.example.com;transport=tls`; nil for where their target is.
    public var outboundProxy: String?

    /// - Parameters:
    ///   - address: for example `sip:alice@example.com`.
    ///   - password: for whoever asks for it.
    public init(address: String, password: String? = nil) {
      (self.address, self.password) = (address, password)
    }
  }

  /// How the account stands at its registrar.
  public enum Registration: Hashable, Sendable {
    /// A REGISTER is on its way.
    case registering
    /// Calls for the account come here.
    case registered
    /// What the registrar said, for example `403 Forbidden`, or why it was not reached. The agent tries again by itself.
    case failed(String)
    /// The registrar knows the agent no more: it has ended.
    case unregistered
  }
}

extension UserAgent.Registration {
  init(_ state: LocalAccount.Registration) {
    self =
      switch state {
      case .registering: .registering
      case .registered: .registered
      case .failed(let reason): .failed(reason)
      case .none, .unregistered: .unregistered
      }
  }
}

extension UserAgent.Account {
  /// What a line of an accounts file would say.
  ///
  /// - Throws: what is wrong, without repeating what may hold a password.
  func line() throws(ApusError) -> UACore.Account {
    guard var line = UACore.Account(uri: self.address) else {
      throw ApusError(.configuration, "account, address: it takes a SIP URI, for example sip:alice@example.com")
    }
    if let displayName, displayName.contains(where: \.isNewline) {
      throw ApusError(.configuration, "account, displayName: it takes one line")
    }
    if let registrationInterval, !(0...31_536_000).contains(registrationInterval) {
      throw ApusError(
        .configuration, "account, registrationInterval \(registrationInterval): it takes seconds from 0 to 31536000")
    }
    if let outboundProxy {
      guard let proxy = UACore.Account(uri: outboundProxy)?.address else {
        throw ApusError(.configuration, "account, outboundProxy: it takes a SIP URI, for example sip:proxy.example.com")
      }
      line.outbound = ["\(proxy)"]
    }
    line.displayName = self.displayName
    line.registrationInterval = self.registrationInterval
    line.authUser = self.authenticationUser
    line.authPassword = self.password.map { Password($0) }
    // Nobody is told of a mailbox here.
    line.subscribesMessageWaiting = false
    return line
  }
}
