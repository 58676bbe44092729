/// Somebody's calls: the body of the `dialog` package (RFC 4235).
package struct DialogInfo: Hashable, Sendable {
  package static let contentType = "application/dialog-info+xml"

  /// Where a dialog is, in the order in which a lamp counts them.
  package enum State: String, CaseIterable, Comparable, Sendable {
    case terminated
    case trying
    case proceeding
    case early
    case confirmed

    package static func < (left: State, right: State) -> Bool { left.rank < right.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// One dialog.
  package struct Dialog: Hashable, Sendable {
    /// The document's own name for it.
    package var id: String
    /// Whether the watched one called; nil when it isn't said.
    package var isInitiator: Bool?
    package var state: State

    package init(id: String, isInitiator: Bool?, state: State) {
      (self.id, self.isInitiator, self.state) = (id, isInitiator, state)
    }
  }

  /// Whose dialogs they are: a URI.
  package var entity: String
  /// Grows by one with each document of a subscription.
  package var version: Int
  /// Whether these are all dialogs, or only those that have changed.
  package var isFull: Bool
  package var dialogs: [Dialog]

  package init(entity: String, version: Int, isFull: Bool = true, dialogs: [Dialog]) {
    (self.entity, self.version, self.isFull, self.dialogs) = (entity, version, isFull, dialogs)
  }

  /// Reads the body of a NOTIFY; nil when it is no dialog-info document.
  package init?(_ body: SIPBody) {
    guard body.isOfType(Self.contentType), let root = XMLElement.read(body.bytes), root.name == "dialog-info",
      let version = root.attributes["version"]?.decimal(upTo: Int(Int32.max)),
      let extent = root.attributes["state"], extent == "full" || extent == "partial"
    else { return nil }
    var dialogs: [Dialog] = []
    for element in root.all("dialog") {
      guard let id = element.attributes["id"], let word = element.first("state")?.word.lowercased(),
        let state = State(rawValue: word)
      else { return nil }
      let isInitiator = element.attributes["direction"].map { $0 == "initiator" }
      dialogs.append(Dialog(id: id, isInitiator: isInitiator, state: state))
    }
    self.init(entity: root.attributes["entity"] ?? "", version: version, isFull: extent == "full", dialogs: dialogs)
  }

  /// The document. Who the other ends are is nobody's business, and so it is not in there.
  package var body: SIPBody {
    let dialogs = self.dialogs.map { dialog in
      let direction = dialog.isInitiator.map { " direction=\"\($0 ? "initiator" : "recipient")\"" } ?? ""
      return
        "<dialog id=\"\(XMLElement.escaped(dialog.id))\"\(direction)><state>\(dialog.state.rawValue)</state></dialog>\n"
    }
    let text = """
      <?xml version="1.0" encoding="UTF-8"?>
      <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="\(self.version)" \
      state="\(self.isFull ? "full" : "partial")" entity="\(XMLElement.escaped(self.entity))">
      \(dialogs.joined())</dialog-info>

      """
    return SIPBody(contentType: Self.contentType, bytes: Array(text.utf8))
  }
}

/// The dialogs of somebody who is watched, put together from the documents of one subscription (RFC 4235 §4.3).
package struct DialogTable: Sendable {
  /// The most dialogs that are kept; what a partial document has besides is left out.
  package static let limit = 64

  private var version: Int?
  package private(set) var states: [String: DialogInfo.State] = [:]

  package init() {}

  /// Takes a document in; one that is not newer than the last says nothing.
  package mutating func take(_ info: DialogInfo) {
    if let version, info.version <= version { return }
    self.version = info.version
    if info.isFull { self.states = [:] }
    for dialog in info.dialogs {
      if dialog.state == .terminated {
        self.states[dialog.id] = nil
      } else if self.states.count < Self.limit || self.states[dialog.id] != nil {
        self.states[dialog.id] = dialog.state
      }
    }
  }

  /// What a lamp shows: the state of the dialog that has come farthest, or nil when there is none.
  package var lamp: DialogInfo.State? { self.states.values.max() }
}
