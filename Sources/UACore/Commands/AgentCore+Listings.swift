internal import SIPStack

/// What `listcalls` and `reginfo` answer: baresip's words to the byte, for programs take them apart.
extension AgentCore {
  /// The calls, by account; the current one has a mark.
  var callList: String {
    var owners = self.localAccounts.map(\.aor)
    // An account that was taken away may have calls yet.
    for owner in self.sortedCalls.map(\.settings.identity) where !owners.contains(owner) { owners.append(owner) }
    guard !owners.isEmpty else { return "\n--- No active calls ---\n" }
    return owners.map(self.callList).joined()
  }

  private func callList(of owner: String) -> String {
    let reports = self.reports.filter { $0.state != .ended && self.calls[$0.id]?.settings.identity == owner }
    let lines = reports.map { report in
      let mark = report.id == self.control.currentCall ? ">" : " "
      return "\(mark) \(report.listing(callID: self.calls[report.id]?.sipCallID ?? ""))\n"
    }
    let name = (try? SIPURI(owner)).map { "\($0.user.map { "\($0)@" } ?? "")\($0.host)" } ?? owner
    return "\nUser-Agent: \(name)\n--- Active calls (\(lines.count)) ---\n\(lines.joined())\n"
  }

  /// The accounts, and where they are registered.
  var accountList: String {
    let lines = self.localAccounts.enumerated().map { index, account in
      let mailbox = account.messageWaiting.map { "    mailbox: \($0)\n" } ?? ""
      let padding = String(repeating: " ", count: max(0, 42 - account.aor.count))
      return "\(index) - \(account.aor)\(padding)\(account.registrationListing)\n\(mailbox)"
    }
    return "\n--- User Agents (\(lines.count)) ---\n\(lines.joined())\n"
  }
}

extension CallReport {
  /// baresip's line of a list of calls: number, Call-ID, duration, state, hold and peer.
  fileprivate func listing(callID: String) -> String {
    let state =
      switch self.state {
      case .calling: "OUTGOING"
      case .incoming: "INCOMING"
      case .ringing: "RINGING"
      case .early: "EARLY"
      case .established: "ESTABLISHED"
      case .ended: "TERMINATED"
      }
    let seconds = Int(self.duration)
    func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let duration = "\(seconds / 3600):\(twoDigits(seconds / 60 % 60)):\(twoDigits(seconds % 60))"
    let padding = String(repeating: " ", count: max(0, 9 - state.count))
    let hold = self.isOnHold ? "(on hold)" : "         "
    return "[line \(self.id), id \(callID)]  \(duration)  \(padding)\(state)  \(hold)  \(self.peer)"
  }
}

extension LocalAccount {
  /// baresip's words, with the colours that it gives them; nothing for an account that does not register.
  fileprivate var registrationListing: String {
    switch (self.registration, self.isRegistrarThere) {
    case (.unregistered, let isThere?), (.none, let isThere?):
      " FB-" + (isThere ? "\u{1B}[32mOK \u{1B}[;m" : "\u{1B}[31mERR\u{1B}[;m")
    case (.none, _): ""
    case (.registering, _), (.unregistered, _): " \u{1B}[33mzzz\u{1B}[;m"
    case (.registered, _): " \u{1B}[32mOK \u{1B}[;m" + (self.route.map { " Expires \($0.expires)s" } ?? "")
    case (.failed(let reason), _):
      " \u{1B}[31mERR\u{1B}[;m" + (reason.split(separator: " ").first.flatMap { Int($0) }.map { " \($0)" } ?? "")
    }
  }
}
