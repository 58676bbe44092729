internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec
internal import SIPStack

/// What a person or a program at the agent's controls has chosen: the current call and account, whom to call again,
/// who may disturb. Lives on main, with its agent.
package final class CallControl {
  unowned let core: AgentCore
  /// Whom the contacts file and the commands name.
  package var contacts: ContactBook
  /// Refuses every call that comes in (`dnd`).
  package internal(set) var doNotDisturb = false
  package internal(set) var history = CallHistory()
  /// What was dialled last, as it was typed.
  var lastDialled: String?
  /// Seconds after which calls of ours ask to be answered; nil doesn't ask (`setadelay`).
  var askedAnswerDelay: Int?
  /// What Call-Info and Alert-Info say besides (`setansval`).
  var askedAnswerValue = CallControl.defaultAnswerValue
  /// What they say where nobody has set it.
  static let defaultAnswerValue = "http://www.notused.com"
  /// The call that is transferred to another one, and that one.
  var attendedTransfer: (from: CallID, to: CallID)?
  private var chosenCall: CallID?
  private var chosenAccount: Int?
  var redial: Redial
  /// What is called, or is to be called again.
  var dialled: Dialled?

  init(core: AgentCore) {
    self.core = core
    self.contacts = ContactBook(core.settings.contacts)
    self.redial = Redial(configuration: core.settings.configuration)
  }

  // MARK: What is current

  /// The chosen call, else one that stands, else one that is not ours to answer, else the newest; nil when there is none. A
  /// call that is made, or begins to stand, is chosen.
  package var currentCall: CallID? {
    let calls = self.core.calls.values.filter { $0.state != .ended }
    if let chosen = self.chosenCall, calls.contains(where: { $0.id == chosen }) { return chosen }
    func rank(_ call: Call) -> Int { call.state == .established ? 2 : call.isWaiting ? 0 : 1 }
    return calls.max { (rank($0), $0.id.number) < (rank($1), $1.id.number) }?.id
  }

  /// The chosen account, else the current call's, else the first.
  package var currentAccount: LocalAccount? {
    self.core.localAccounts.first { $0.number == self.chosenAccount }
      ?? self.currentCall.flatMap { self.core.calls[$0] }.flatMap { self.core.account($0.settings.identity) }
      ?? self.core.localAccounts.first
  }

  func choose(call id: CallID) { self.chosenCall = id }

  func choose(account: LocalAccount) { self.chosenAccount = account.number }

  /// The call that a command's parameter names, by SIP's Call-ID or by our number; the current one for none.
  func call(named text: some StringProtocol) throws(CommandFailure) -> Call {
    let name = String(text)
    if name.isEmpty {
      guard let id = self.currentCall, let call = self.core.calls[id] else { throw CommandFailure("there is no call") }
      return call
    }
    let named = self.core.calls.values.first {
      $0.state != .ended && ($0.sipCallID == name || "\($0.id)" == name)
    }
    guard let named else { throw CommandFailure("call not found (id=\(name))") }
    return named
  }

  // MARK: Calling

  /// Calls what a person typed, from the current account or the one of the same domain.
  ///
  /// - Parameter account: nil chooses.
  func dial(
    _ typed: String, from account: LocalAccount? = nil, headers: [(String, String)] = [],
    directions: CallDirections = CallDirections(), userData: String? = nil
  ) throws(CommandFailure) -> String {
    var text = typed
    if text.isEmpty {
      guard let last = self.lastDialled else {
        throw CommandFailure("/dial needs a SIP URI, for example /dial sip:bob@192.0.2.1")
      }
      text = last
    }
    if self.core.settings.configuration.menuCleanNumber, let number = DialString.cleaned(text), !number.isEmpty {
      text = number
    }
    if let contact = self.contacts.find(name: text) { text = "\(contact.address)" }
    let chosen = account ?? self.account(toDial: text)
    guard let chosen else {
      throw CommandFailure(
        self.core.localAccounts.isEmpty
          ? "there is no account to call from: add one to the accounts file"
          : DialString.refusal(of: text))
    }
    let target = DialString.completed(text, for: chosen.settings.account?.address)
    guard let uri = try? SIPURI(target), uri.scheme == .sip || uri.scheme == .sips, !uri.host.isEmpty else {
      throw CommandFailure(DialString.refusal(of: target))
    }
    self.lastDialled = typed.isEmpty ? self.lastDialled : typed
    self.redial.forget()
    return try self.place(
      Dialled(
        uri, account: chosen.number, headers: self.askingHeaders + headers, directions: directions,
        userData: userData))
  }

  /// Calls what `dial` names, from the account whose place in the list follows a URI. What `userdata=` says comes with
  /// the call's events.
  func dial(parameters: String) throws(CommandFailure) -> String {
    var words = CommandWords(parameters)
    let userData = words.take("userdata")
    guard words.rest.count == 2, DialString.isURI(words.rest[0]), Int(words.rest[1]) != nil else {
      return try self.dial(words.rest.joined(separator: " "), userData: userData)
    }
    guard let account = self.core.account(words.rest[1]) else {
      throw CommandFailure("there is no account \(words.rest[1]); /reginfo lists them")
    }
    return try self.dial(words.rest[0], from: account, userData: userData)
  }

  /// The header field that asks for an automatic answer, while `setadelay` is set.
  private var askingHeaders: [(String, String)] {
    guard let delay = self.askedAnswerDelay, let method = self.core.settings.configuration.autoAnswerMethod else {
      return []
    }
    return [AutoAnswer.header(method, seconds: delay, value: self.askedAnswerValue)]
  }

  /// - Returns: nil where there is no account, or `text` has an `@` and is no URI.
  private func account(toDial text: String) -> LocalAccount? {
    if let chosen = self.core.localAccounts.first(where: { $0.number == self.chosenAccount }) { return chosen }
    let target = DialString.completed(text, for: nil)
    return text.contains("@") ? (try? SIPURI(target)).flatMap { self.core.account(towards: $0) } : self.currentAccount
  }

  /// Accepts a call that waits: the named one, else the current one, else the one that waits longest.
  func accept(_ name: String, directions: CallDirections = CallDirections()) throws(CommandFailure) -> Call {
    var call = self.currentCall.flatMap { self.core.calls[$0] }
    if !name.isEmpty {
      call = try self.call(named: name)
    } else if call?.isWaiting != true {
      call = self.core.calls.values.filter(\.isWaiting).min { $0.id.number < $1.id.number }
    }
    guard let call, call.isWaiting else { throw CommandFailure("no call waits to be accepted") }
    if directions != CallDirections(), call.earlyAnswer != nil {
      throw CommandFailure("call \(call.id) has early media both ways: use /accept, and /medialdir after it")
    }
    self.core.holdOthers(than: call)
    self.choose(call: call.id)
    call.media?.directions = directions
    self.core.answer(call.id)
    return call
  }

  // MARK: What happens

  /// Told of every event, after everyone else.
  func take(_ event: AgentEvent) {
    switch event {
    case .outgoing(let id, _): self.choose(call: id)
    case .established(let id):
      self.choose(call: id)
      self.begins(id)
    case .ended(let report):
      if self.chosenCall == report.id { self.chosenCall = nil }
      self.history.note(report)
      guard !self.core.isClosing else { return }
      self.endTransfer(with: report.id)
      self.redial(after: report)
    default: break
    }
  }
}
