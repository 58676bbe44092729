internal import ModuleKit
internal import SIPStack

/// Accounts by command: baresip's `ua…`, `answermode`, `100rel`, and `privacy`.
extension AgentCore {
  var accountCommands: [CoreCommand] {
    [
      CoreCommand("reginfo", key: "r", "list the accounts, and where they are registered") { [unowned self] _ in
        self.accountList
      },
      CoreCommand("uareg", "SECONDS [ACCOUNT]", "register an account for so long; 0 takes the registration away") {
        [unowned self] text throws(CommandFailure) in
        let words = text.split(separator: " ").map(String.init)
        guard let word = words.first, let interval = Int(word), (0...31_536_000).contains(interval) else {
          throw CommandFailure("/uareg takes a number of seconds")
        }
        let account = try self.named(words.dropFirst().first ?? "")
        if interval == 0 { self.leaveRegistrar(account) } else { self.register(account, interval: interval) }
        return "\(account.aor): \(account.registration.text)"
      },
      CoreCommand("uafind", "ACCOUNT", "make an account the current one, and its newest call the current call") {
        [unowned self] name throws(CommandFailure) in
        let account = try self.named(name)
        self.control.choose(account: account)
        let newest = self.sortedCalls.last { $0.state != .ended && $0.settings.identity == account.aor }
        if let newest { self.control.choose(call: newest.id) }
        return "ua: \(account.aor)"
      },
      CoreCommand("uanew", "<sip:user@host>;parameters", "add an account, as a line of the accounts file") {
        [unowned self] line throws(CommandFailure) in
        let (settings, warnings) = try self.settings(accountLine: line)
        self.add(account: settings)
        return (warnings + [self.accountList]).joined(separator: "\n")
      },
      CoreCommand("uadel", "ACCOUNT", "take an account away; its calls go on") {
        [unowned self] name throws(CommandFailure) in
        // Without a name the current one would go.
        guard !name.isEmpty else { throw CommandFailure("/uadel takes an account; /reginfo lists them") }
        let account = try self.named(name)
        self.remove(account: account)
        return "deleting ua: \(account.aor)"
      },
      CoreCommand("uadelall", "take every account away") { [unowned self] _ in
        for account in self.localAccounts { self.remove(account: account) }
        return self.accountList
      },
      CoreCommand("uaaddheader", "NAME=VALUE [ACCOUNT]", "add a header field to an account's calls") {
        [unowned self] text throws(CommandFailure) in
        let (field, account) = try self.fieldAndAccount(text)
        let parts = field.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, Self.isHeaderName(parts[0]), parts[1].allSatisfy({ !$0.isNewline }) else {
          throw CommandFailure("/uaaddheader takes NAME=VALUE, where NAME is one that SIP itself doesn't use")
        }
        account.headers.append((parts[0], parts[1]))
        return ""
      },
      CoreCommand("uarmheader", "NAME [ACCOUNT]", "take a header field out of an account's calls") {
        [unowned self] text throws(CommandFailure) in
        let (name, account) = try self.fieldAndAccount(text)
        let before = account.headers.count
        account.headers.removeAll { $0.name.lowercased() == name.lowercased() }
        guard account.headers.count < before else { throw CommandFailure("\(account.aor) has no header field \(name)") }
        return ""
      },
      CoreCommand("answermode", "manual|early|early-audio|early-video|auto [ACCOUNT]", "how calls are answered") {
        [unowned self] text throws(CommandFailure) in
        let mode = try self.change(\.answerMode, text, refusal: "Invalid answer mode: \(text)")
        return "Answer mode changed to: \(mode.rawValue)"
      },
      CoreCommand("100rel", "no|yes|required [ACCOUNT]", "whether provisional responses are acknowledged") {
        [unowned self] text throws(CommandFailure) in
        let mode = try self.change(\.reliableProvisionals, text, refusal: "/100rel takes no, yes or required")
        return "100rel mode changed to: \(mode.rawValue)"
      },
      CoreCommand("privacy", "none|id [ACCOUNT]", "whether those whom an account calls learn who calls") {
        [unowned self] text throws(CommandFailure) in
        let privacy = try self.change(\.privacy, text, refusal: "/privacy takes none or id")
        return "privacy changed to: \(privacy.rawValue)"
      },
    ]
  }

  /// - Parameter name: none is the current account.
  private func named(_ name: String) throws(CommandFailure) -> LocalAccount {
    let found = name.isEmpty ? self.control.currentAccount : self.account(name)
    guard let found else {
      throw CommandFailure(name.isEmpty ? "there is no account" : "there is no account \(name); /reginfo lists them")
    }
    return found
  }

  /// - Parameter name: nil is every account.
  private func accounts(named name: String?) throws(CommandFailure) -> [LocalAccount] {
    guard let name else { return self.localAccounts }
    return [try self.named(name)]
  }

  /// Sets what the first word of `text` names: for the account that the second one names, or for every account.
  private func change<Value: RawRepresentable<String>>(
    _ setting: WritableKeyPath<CallSettings, Value>, _ text: String, refusal: String
  ) throws(CommandFailure) -> Value {
    let words = text.split(separator: " ").map(String.init)
    guard let value = words.first.flatMap(Value.init(rawValue:)) else { throw CommandFailure(refusal) }
    for account in try self.accounts(named: words.dropFirst().first) { account.settings[keyPath: setting] = value }
    return value
  }

  private func fieldAndAccount(_ text: String) throws(CommandFailure) -> (String, LocalAccount) {
    let words = text.split(separator: " ").map(String.init)
    if words.count > 1, let last = words.last, let account = self.account(last) {
      return (words.dropLast().joined(separator: " "), account)
    }
    guard !words.isEmpty else { throw CommandFailure("the name of a header field is missing") }
    return (text, try self.named(""))
  }

  /// - Returns: with what was passed over.
  private func settings(
    accountLine line: String
  ) throws(CommandFailure) -> (CallSettings, warnings: [String]) {
    let configuration = self.settings.configuration
    var problems: [ConfigProblem] = []
    let account = AccountsFile.parse(
      line: line, configuration: configuration, modules: self.settings.available, problems: &problems)
    guard let account else {
      let first = problems.first { $0.severity == .error }
      throw CommandFailure(first.map { "\($0.key): \($0.message)" } ?? "a line is <sip:user@host>;parameter=value")
    }
    let settings = CallSettings(account: account, configuration: configuration)
    do { try self.validate(settings) } catch { throw CommandFailure("\(error)") }
    return (settings, problems.map { "warning: \($0.key): \($0.message)" })
  }

  /// A token (RFC 3261 §25.1) that is not one of the fields which the protocol machines write.
  private static func isHeaderName(_ name: String) -> Bool {
    let own: Set<String> = [
      "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route", "content-length",
      "content-type", "authorization", "proxy-authorization", "require", "supported", "v", "f", "t", "i", "m", "l", "c",
      "k",
    ]
    return !name.isEmpty && !own.contains(name.lowercased())
      && name.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || "-.!%*_+`'~".utf8.contains(byte)
      }
  }
}

extension LocalAccount.Registration {
  /// A few words for a list.
  package var text: String {
    switch self {
    case .none: "does not register"
    case .registering: "registering"
    case .registered: "registered"
    case .failed(let reason): "not registered: \(reason)"
    case .unregistered: "not registered"
    }
  }
}
