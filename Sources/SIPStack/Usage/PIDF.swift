/// Whether somebody can be reached, as far as phones show it.
package enum PresenceState: String, CaseIterable, Sendable {
  case unknown
  case online
  case away
  case busy
  case offline

  /// As baresip shows it.
  package var shown: String { self.rawValue.prefix(1).uppercased() + self.rawValue.dropFirst() }
}

/// Somebody's presence: the body of the `presence` package (RFC 3856, RFC 3863), with those activities of RFC 4480 that
/// phones show.
package struct PIDF: Hashable, Sendable {
  package static let contentType = "application/pidf+xml"

  /// Whose presence it is: a URI.
  package var entity: String
  package var state: PresenceState

  package init(entity: String, state: PresenceState) { (self.entity, self.state) = (entity, state) }

  /// Reads the body of a NOTIFY; nil when it is no presence document.
  ///
  /// One open tuple makes a person reachable; then what the person does counts. Closed is offline, whatever is done; any other
  /// word says nothing (baresip 1.0.0 begins with a question mark).
  package init?(_ body: SIPBody) {
    guard body.isOfType(Self.contentType), let root = XMLElement.read(body.bytes), root.name == "presence" else {
      return nil
    }
    self.entity = root.attributes["entity"] ?? ""
    let tuples = root.all("tuple").compactMap { $0.first("status") }
    let basics = tuples.compactMap { $0.first("basic")?.word.lowercased() }
    let activities = (root.all("person") + tuples).flatMap { $0.all("activities") }.flatMap(\.children).map(\.name)
    if basics.contains("closed"), !basics.contains("open") {
      self.state = .offline
    } else if activities.contains("away") {
      self.state = .away
    } else if activities.contains("busy") || activities.contains("on-the-phone") {
      self.state = .busy
    } else {
      self.state = basics.contains("open") ? .online : .unknown
    }
  }

  /// The document; nobody's state is unknown to himself, so that has no tuple.
  package var body: SIPBody {
    let entity = XMLElement.escaped(self.entity)
    // baresip looks for these very letters, prefix and all.
    let activity =
      switch self.state {
      case .away, .busy: "<rpid:activities><rpid:\(self.state.rawValue)/></rpid:activities>"
      case .unknown, .online, .offline: "<rpid:activities/>"
      }
    let tuple =
      self.state == .unknown
      ? ""
      : """
      <tuple id="t1">
        <status><basic>\(self.state == .offline ? "closed" : "open")</basic></status>
        <contact>\(entity)</contact>
      </tuple>

      """
    let text = """
      <?xml version="1.0" encoding="UTF-8"?>
      <presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
          xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="\(entity)">
      \(tuple)<dm:person id="p1">\(activity)</dm:person>
      </presence>

      """
    return SIPBody(contentType: Self.contentType, bytes: Array(text.utf8))
  }
}

extension SIPBody {
  /// Whether the content type is this one, its parameters left out.
  func isOfType(_ type: String) -> Bool {
    self.contentType.prefix { $0 != ";" }.trimmed.isSame(ignoringCaseOf: type)
  }
}
