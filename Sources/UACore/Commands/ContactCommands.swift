internal import ModuleKit

/// What baresip's module `contact` has.
extension AgentCore {
  var contactCommands: [CoreCommand] {
    [
      CoreCommand("contacts", key: "C", "list the contacts") { [unowned self] _ in
        let selected = self.control.contacts.selected
        let lines = self.control.contacts.contacts.map { contact in
          "\(contact == selected ? ">" : " ") \(self.shownState(of: contact))\(contact.line)"
        }
        return (["--- Contacts (\(lines.count)) ---"] + lines).joined(separator: "\n")
      },
      CoreCommand("dialcontact", key: "D", "call the selected contact") {
        [unowned self] _ throws(CommandFailure) in
        try self.control.dial("\(try self.selectedContact().address)")
      },
      CoreCommand("contact_prev", key: "<", "select the contact before") { [unowned self] _ throws(CommandFailure) in
        self.control.contacts.select(by: -1)
        return try self.selectedContact().line
      },
      CoreCommand("contact_next", key: ">", "select the next contact") { [unowned self] _ throws(CommandFailure) in
        self.control.contacts.select(by: 1)
        return try self.selectedContact().line
      },
      CoreCommand("addcontact", "\"NAME\" <sip:user@host>;parameters", "add a contact, as a line of the contacts file")
      {
        [unowned self] line throws(CommandFailure) in
        let contact = try self.control.contacts.add(line: line)
        self.contactWatches.update()
        return "added \(contact.line)"
      },
      CoreCommand("rmcontact", "URI", "take a contact away") { [unowned self] uri throws(CommandFailure) in
        guard self.control.contacts.remove(uri) else { throw CommandFailure("there is no contact \(uri)") }
        self.contactWatches.update()
        return ""
      },
      CoreCommand("clrcontacts", "take every contact away") { [unowned self] _ in
        self.control.contacts.removeAll()
        self.contactWatches.update()
        return ""
      },
    ]
  }

  private func selectedContact() throws(CommandFailure) -> Contact {
    guard let contact = self.control.contacts.selected else { throw CommandFailure("there is no contact") }
    return contact
  }
}

extension Contact {
  /// As in the contacts file.
  package var line: String {
    let name = self.displayName.map { "\"\($0)\" " } ?? ""
    return "\(name)<\(self.address)>" + (self.access.map { ";access=\($0.rawValue)" } ?? "")
  }
}
