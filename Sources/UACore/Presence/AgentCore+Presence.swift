internal import ModuleKit
internal import SIPStack

extension AgentCore {
  /// Whether modules have switched presence on or off: contacts and watchers follow.
  func serveEventPackages() {
    self.endpoint.serve(eventPackages: self.registry.events?.names ?? [])
    if self.registry.events == nil { self.watchers.end() }
    self.updatePresence()
  }

  /// Contacts, accounts, the module or the way to others have changed: what is watched and what is published follow.
  ///
  /// - Parameter retries: whether what was refused is tried now.
  func updatePresence(retries: Bool = false) {
    self.contactWatches.update(retries: retries)
    self.publications.update(retries: retries)
  }

  /// An account goes, and takes along who watches it, what it watches and what it has published.
  func forgetWatches(of account: LocalAccount) {
    self.watchers.end(reason: "noresource") { $0 === account }
    self.contactWatches.forget(account)
    self.publications.forget(account)
  }

  /// baresip's command of its module `presence`.
  var presenceCommands: [CoreCommand] {
    [
      CoreCommand(
        "presence", "[online|busy|away|offline]", "tell contacts that watch us, and compositors, how we can be reached"
      ) {
        [unowned self] word throws(CommandFailure) in
        guard self.registry.events != nil else {
          throw CommandFailure("nobody watches: module presence is not switched on (/insmod presence)")
        }
        if !word.isEmpty {
          guard let state = PresenceState(rawValue: word.lowercased()), state != .unknown else {
            throw CommandFailure("/presence takes online, busy, away or offline")
          }
          if self.watchers.set(state) { self.publications.publish() }
        }
        return "presence: \(self.watchers.state.shown), \(self.watchers.count) watchers"
      }
    ]
  }

  /// What `contacts` shows before a contact's line: its presence and, where they are watched, its calls.
  func shownState(of contact: Contact) -> String {
    guard self.registry.events != nil else { return "" }
    let presence = self.contactWatches.shown(contact, .presence) ?? PresenceState.unknown.shown
    let dialog = self.contactWatches.shown(contact, .dialog).map { " [\($0)]" } ?? ""
    let padding = String(repeating: " ", count: max(1, 9 - presence.count))
    return presence + dialog + padding
  }
}
