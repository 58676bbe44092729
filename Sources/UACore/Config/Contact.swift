/// One line of the contacts file.
package struct Contact: Hashable, Sendable {
  /// Whether something of the contact's is watched.
  package enum Watch: String, CaseIterable, Sendable { case none, p2p }
  /// What happens to the contact's calls.
  package enum Access: String, CaseIterable, Sendable { case allow, block }

  /// Nil: not set.
  package let displayName: String?
  /// `sip:*@*` stands for everybody.
  package let address: AddressOfRecord
  package let presence: Watch
  /// Its calls; baresip has no such parameter, and passes it over.
  package let dialog: Watch
  /// Nil: not set, so the rule for everybody counts.
  package let access: Access?
}

/// The contacts file: one contact a line, in baresip's syntax.
package enum ContactsFile {
  /// Reads the file's text; a line with an error gives no contact.
  package static func parse(_ text: String, file: String, problems: inout [ConfigProblem]) -> [Contact] {
    var contacts: [Contact] = []
    for (line, content) in ConfigLines(text) {
      if let contact = read(content, at: ConfigLocation(file: file, line: line), problems: &problems) {
        contacts.append(contact)
      }
    }
    return contacts
  }

  private static func read(
    _ content: Substring, at location: ConfigLocation, problems: inout [ConfigProblem]
  ) -> Contact? {
    let line: AddressLine
    do { line = try AddressLine(content) } catch {
      problems.append(
        location.error("contact", "\(error.message). A line is \"Name\" <sip:user@host>;parameter=value"))
      return nil
    }
    var hadPassword = false
    guard let address = AddressOfRecord(line.uri, hadPassword: &hadPassword) else {
      problems.append(
        location.error("contact", "the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"))
      return nil
    }
    var (presence, dialog) = (Contact.Watch.none, Contact.Watch.none)
    var access: Contact.Access?
    var isValid = true
    for parameter in line.parameters {
      let value = parameter.value?.lowercased() ?? ""
      let allowed: [String]
      switch parameter.name {
      case "presence":
        allowed = Contact.Watch.allCases.map(\.rawValue)
        presence = Contact.Watch(rawValue: value) ?? .none
      case "dialog":
        allowed = Contact.Watch.allCases.map(\.rawValue)
        dialog = Contact.Watch(rawValue: value) ?? .none
      case "access":
        allowed = Contact.Access.allCases.map(\.rawValue)
        access = Contact.Access(rawValue: value)
      default:
        // A rule that is mistyped must not be missed; what other programs wrote there is passed over, as baresip does.
        let question = NearestName.question(parameter.name, in: ["presence", "dialog", "access"])
        let message = "a contact has no such parameter\(question)"
        isValid = isValid && question.isEmpty
        problems.append(
          question.isEmpty ? location.warning(parameter.name, message) : location.error(parameter.name, message))
        continue
      }
      if !allowed.contains(value) {
        problems.append(
          location.error(
            parameter.name, "\"\(value)\" is not allowed: it takes one of \(allowed.joined(separator: ", "))"))
        isValid = false
      }
    }
    guard isValid else { return nil }
    return Contact(
      displayName: line.displayName, address: address, presence: presence, dialog: dialog, access: access)
  }
}
