internal import ModuleKit
internal import Runtime
internal import SIPStack

/// Transfers and messages, as they are asked for at the controls.
extension CallControl {
  /// Whom a parameter means, and from which account.
  func target(_ typed: String) throws(CommandFailure) -> (SIPURI, LocalAccount) {
    guard let account = self.currentAccount else { throw CommandFailure("there is no account") }
    return (try self.uri(typed, of: account.settings), account)
  }

  /// Whom a parameter means, seen from the account of a call.
  func target(_ typed: String, from call: Call) throws(CommandFailure) -> SIPURI {
    try self.uri(typed, of: call.settings)
  }

  private func uri(_ typed: String, of settings: CallSettings) throws(CommandFailure) -> SIPURI {
    guard !typed.isEmpty else { throw CommandFailure("a SIP URI is missing, for example sip:bob@192.0.2.1") }
    var text = typed
    if self.core.settings.configuration.menuCleanNumber { text = DialString.cleaned(text) ?? text }
    if let contact = self.contacts.find(name: text) { text = "\(contact.address)" }
    let address = settings.account?.address ?? Account(uri: settings.identity)?.address
    let target = DialString.completed(text, for: address)
    guard let uri = try? SIPURI(target), uri.scheme == .sip || uri.scheme == .sips, !uri.host.isEmpty else {
      throw CommandFailure(DialString.refusal(of: target))
    }
    return uri
  }

  func startTransfer(_ typed: String) throws(CommandFailure) -> String {
    let call = try self.core.standing("")
    let target = try self.target(typed, from: call)
    guard let account = self.core.account(call.settings.identity) else { throw CommandFailure("its account is gone") }
    self.core.setHold(call.id, true)
    var failure: CommandFailure?
    var isLater = false
    self.core.place(target, from: account, headers: []) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let other):
        self.attendedTransfer = (call.id, other)
        self.choose(call: other)
      case .failure(let why):
        failure = why
        self.core.setHold(call.id, false)
        if isLater { self.core.warn("call \(call.id): is resumed: \(why.description)") }
      }
    }
    isLater = true
    if let failure { throw failure }
    return "call \(call.id): is held; /atransferexec connects its peer with \(target.shown)"
  }

  func finishTransfer() throws(CommandFailure) -> String {
    guard let (from, to) = self.attendedTransfer, let call = self.core.calls[from], let other = self.core.calls[to]
    else {
      throw CommandFailure("no pending attended call transfer available")
    }
    guard other.state == .established else { throw CommandFailure("call \(other.id) is not answered yet") }
    try self.core.transfer(call, to: other)
    self.attendedTransfer = nil
    return "call \(call.id): transferring to \(other.peer)"
  }

  func abortTransfer() throws(CommandFailure) -> String {
    guard let (from, to) = self.attendedTransfer else {
      throw CommandFailure("no pending attended call transfer available")
    }
    self.attendedTransfer = nil
    self.core.hangUp(to)
    self.choose(call: from)
    self.core.setHold(from, false)
    return "call \(from): goes on"
  }

  /// One of an attended transfer's two calls is over; who waits for the other one to be reached goes on.
  func endTransfer(with call: CallID) {
    guard let transfer = self.attendedTransfer, [transfer.from, transfer.to].contains(call) else { return }
    self.attendedTransfer = nil
    if call == transfer.to { self.core.resume([transfer.from]) }
  }

  /// `URI TEXT`, or only text: for the peer of the current call, else for the selected contact.
  ///
  /// - Returns: whom it goes to.
  func sendMessage(_ text: String) throws(CommandFailure) -> String {
    let words = text.split(separator: " ", maxSplits: 1).map(String.init)
    guard let first = words.first else { throw CommandFailure("/message takes a text, or a URI and a text") }
    if self.isRecipient(first) {
      guard words.count == 2 else { throw CommandFailure("/message takes a text behind \(first)") }
      return try self.send(message: words[1], to: first)
    }
    if let id = self.currentCall, let call = self.core.calls[id], call.state == .established,
      let session = call.session
    {
      let body = SIPBody(contentType: "text/plain;charset=UTF-8", bytes: Array(text.utf8))
      let request = self.core.endpoint.message(session, body: body, headers: [], now: self.core.context.now)
      self.core.await(request) { [weak core = self.core] outcome in
        core?.warn("message to \(call.peer): \(outcome.text)")
      }
      return Self.sending(to: call.peer)
    }
    guard let contact = self.contacts.selected, !ContactBook.isForEverybody(contact) else {
      throw CommandFailure("there is neither a call nor a selected contact to send it to: write /message URI TEXT")
    }
    return try self.send(message: text, to: "\(contact.address)")
  }

  /// Whether the first word of a message is whom it is for: a URI, or a contact's whole name. The beginning of a name,
  /// which is enough to call someone, may be a word of the text.
  private func isRecipient(_ word: String) -> Bool {
    let lower = word.lowercased()
    return DialString.isURI(word) || self.contacts.contacts.contains { $0.displayName?.lowercased() == lower }
  }

  private func send(message text: String, to typed: String) throws(CommandFailure) -> String {
    let (target, account) = try self.target(typed)
    self.core.sendMessage(text, to: target, from: account)
    return Self.sending(to: target.shown)
  }

  private static func sending(to peer: String) -> String { "sending a message to \(peer)" }
}
