internal import UACore

extension UserAgent.Configuration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// What it says, but for what is secret: of `iceServers` no user and password, of `settings` the keys alone.
  public var description: String { text(of: self.customMirror, "Configuration") }
  /// The same.
  public var debugDescription: String { self.description }
  /// The same.
  public var customMirror: Mirror {
    let account: String = text(of: self.account)
    let maximumCalls: String = text(of: self.maximumCalls)
    let iceServers: [String] = self.iceServers.map { server in (try? STUNServerURI(server))?.description ?? hidden }
    return Mirror(
      self,
      children: [
        "identity": shown(self.identity), "account": account, "listen": self.listen,
        "encryption": self.encryption, "codecs": self.codecs, "videoCodecs": self.videoCodecs,
        "receiveMode": self.receiveMode, "multiplexesRTCP": self.multiplexesRTCP, "acceptsCalls": self.acceptsCalls,
        "maximumCalls": maximumCalls, "answersAtOnce": self.answersAtOnce,
        "sampleRate": self.sampleRate, "hasVideo": self.hasVideo, "iceServers": iceServers,
        "tricklesCandidates": self.tricklesCandidates, "usesRelaysOnly": self.usesRelaysOnly,
        "settings": self.settings.keys.sorted(),
      ], displayStyle: .struct)
  }
}

extension UserAgent.Account: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// What it says, but for the password.
  public var description: String { text(of: self.customMirror, "Account") }
  /// The same.
  public var debugDescription: String { self.description }
  /// The same.
  public var customMirror: Mirror {
    let password: String = text(of: self.password.map { _ in hidden })
    let authenticationUser: String = text(of: self.authenticationUser)
    let displayName: String = text(of: self.displayName)
    let interval: String = text(of: self.registrationInterval)
    let proxy: String = text(of: self.outboundProxy.map { shown($0) })
    return Mirror(
      self,
      children: [
        "address": shown(self.address), "password": password, "authenticationUser": authenticationUser,
        "displayName": displayName, "registrationInterval": interval, "outboundProxy": proxy,
      ], displayStyle: .struct)
  }
}

private let hidden = "(not shown)"

/// A SIP URI without the password that it may have; nothing of a text that is none.
private func shown(_ uri: String) -> String { (UACore.Account(uri: uri)?.address).map { "\($0)" } ?? hidden }

private func text<Value>(of value: Value?) -> String { value.map { "\($0)" } ?? "nil" }

private func text(of mirror: Mirror, _ name: String) -> String {
  let children = mirror.children.map { "\($0.label ?? ""): \($0.value)" }
  return "\(name)(\(children.joined(separator: ", ")))"
}
