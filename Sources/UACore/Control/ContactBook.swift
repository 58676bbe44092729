package import ModuleKit
internal import NetBase
package import SIPStack

/// The contacts, and which one is chosen; lives on main.
package struct ContactBook {
  package private(set) var contacts: [Contact]
  /// Where `contact_prev` and `contact_next` are.
  package private(set) var selection = 0

  package init(_ contacts: [Contact]) { self.contacts = contacts }

  package var selected: Contact? {
    self.contacts.indices.contains(self.selection) ? self.contacts[self.selection] : nil
  }

  package mutating func select(by step: Int) {
    guard !self.contacts.isEmpty else { return }
    self.selection = min(max(0, self.selection + step), self.contacts.count - 1)
  }

  /// Adds one line of the contacts file's syntax.
  package mutating func add(line: String) throws(CommandFailure) -> Contact {
    var problems: [ConfigProblem] = []
    guard let contact = ContactsFile.parse(line, file: "contact", problems: &problems).first, !problems.hasErrors else {
      throw CommandFailure(problems.first?.message ?? "a contact is \"Name\" <sip:user@host>")
    }
    if let place = self.contacts.firstIndex(where: { $0.address.aor == contact.address.aor }) {
      self.contacts[place] = contact
    } else {
      self.contacts.append(contact)
    }
    return contact
  }

  /// Takes the contact with this address away; false when there is none. Another one that was chosen stays chosen.
  package mutating func remove(_ uri: String) -> Bool {
    let (before, chosen) = (self.contacts.count, self.selected?.address.aor)
    self.contacts.removeAll { $0.address.aor == uri || "\($0.address)" == uri }
    self.selection =
      self.contacts.firstIndex { $0.address.aor == chosen } ?? min(self.selection, max(0, self.contacts.count - 1))
    return self.contacts.count < before
  }

  package mutating func removeAll() {
    self.contacts = []
    self.selection = 0
  }

  /// The contact with exactly this address.
  package func find(_ uri: String) -> Contact? { self.contacts.first { $0.address.aor == uri } }

  /// The contact that a peer is: the same user and host, else the same host and no better.
  package func find(peer uri: String) -> Contact? {
    guard let uri = try? SIPURI(uri) else { return nil }
    let named = self.contacts.filter { !Self.isForEverybody($0) }
    return named.first { Self.isAddress(uri, of: $0) }
      ?? named.first { uri.hasHost($0.address.host) && $0.address.user != nil }
  }

  /// A name to dial: the display name of one contact, or the beginning of just one; what may be a number is no beginning.
  package func find(name: String) -> Contact? {
    let wanted = name.lowercased()
    let named = self.contacts.filter { $0.displayName != nil }
    if let exact = named.first(where: { $0.displayName?.lowercased() == wanted }) { return exact }
    guard DialString.cleaned(name) == nil else { return nil }
    let near = named.filter { $0.displayName?.lowercased().hasPrefix(wanted) == true }
    return near.count == 1 ? near[0] : nil
  }

  /// Whether calls of `peer` are refused: its own rule counts before the one for everybody.
  package func isBlocked(_ peer: SIPURI) -> Bool {
    let own = self.contacts.first { !Self.isForEverybody($0) && Self.isAddress(peer, of: $0) }
    if let access = own?.access { return access == .block }
    return self.contacts.contains { Self.isForEverybody($0) && $0.access == .block }
  }

  /// Whether `peer` may see our presence and our calls: a contact that isn't blocked, or anyone where the rule for
  /// everybody allows it in so many words.
  package func mayWatch(_ peer: SIPURI) -> Bool {
    if self.isBlocked(peer) { return false }
    return self.contacts.contains { contact in
      if Self.isForEverybody(contact) { return contact.access == .allow }
      return Self.isAddress(peer, of: contact)
    }
  }

  /// Whether `uri` has the contact's user and host, however they are written.
  private static func isAddress(_ uri: SIPURI, of contact: Contact) -> Bool {
    uri.hasUser(contact.address.user) && uri.hasHost(contact.address.host)
  }

  static func isForEverybody(_ contact: Contact) -> Bool { contact.address.aor == "sip:*@*" }
}
