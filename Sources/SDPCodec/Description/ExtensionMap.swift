/// `a=extmap` (RFC 8285 §8): the local identifier of a kind of header extension, and which way it is sent.
package struct ExtensionMap: Hashable, Sendable {
  /// 1 to 14, or to 255 in the two-byte form; an offer may have 4096 to 4351 for those that have no number yet (§7).
  package var id: UInt16
  /// Seen from the description's author.
  package var direction: MediaDirection
  /// What the elements mean.
  package var uri: String
  /// What follows the URI, as written.
  package var attributes: String?

  package init(id: UInt16, direction: MediaDirection = .sendrecv, uri: String, attributes: String? = nil) {
    (self.id, self.direction, self.uri, self.attributes) = (id, direction, uri, attributes)
  }

  init?(_ text: String) {
    let words = text.fields(atMost: 3)
    guard words.count >= 2 else { return nil }
    let (number, direction) = words[0].cut(at: "/")
    guard let id = number.decimal(UInt16.self), (1...255).contains(id) || (4096...4351).contains(id) else { return nil }
    guard let way = direction.map({ MediaDirection(rawValue: $0) }) ?? .sendrecv else { return nil }
    self.init(id: id, direction: way, uri: words[1], attributes: words.count == 3 ? words[2] : nil)
  }

  /// The identifier in packets; nil while there is none.
  package var packetID: UInt8? { UInt8(exactly: self.id) }

  /// The attribute's value.
  package var text: String {
    let direction = self.direction == .sendrecv ? "" : "/\(self.direction.rawValue)"
    return "\(self.id)\(direction) \(self.uri)" + (self.attributes.map { " \($0)" } ?? "")
  }
}

extension [ExtensionMap] {
  /// The map of this URI; where a description has it, or the identifier, more than once, the first counts.
  package func named(_ uri: String) -> ExtensionMap? {
    guard let found = self.first(where: { $0.uri == uri }) else { return nil }
    return self.first { $0.id == found.id }?.uri == uri ? found : nil
  }

  /// Those of these kinds that an offer asks for, under its numbers, with the direction that both agree on (RFC 8285 §6).
  func answer(with own: [ExtensionMap]) -> [ExtensionMap] {
    own.compactMap { own in
      guard var map = self.named(own.uri), map.packetID != nil else { return nil }
      map.direction = own.direction.intersection(map.direction.reversed)
      return map.direction == .inactive ? nil : map
    }
  }

  /// Those that an answer has of these, offered by this side; what it renumbers or adds is not agreed.
  func accept(offered: [ExtensionMap]) -> [ExtensionMap] {
    offered.compactMap { offered in
      guard let map = self.named(offered.uri), map.id == offered.id else { return nil }
      var agreed = offered
      agreed.direction = offered.direction.intersection(map.direction.reversed)
      return agreed.direction == .inactive ? nil : agreed
    }
  }

  /// The same kinds under the numbers that were agreed before, which a session keeps (RFC 8285 §6), the others under free ones.
  func numbered(as agreed: [ExtensionMap]) -> [ExtensionMap] {
    var taken = Set(agreed.map(\.id))
    return self.map { map in
      var map = map
      if let before = agreed.named(map.uri) {
        map.id = before.id
      } else {
        while taken.contains(map.id) { map.id += 1 }
        taken.insert(map.id)
      }
      return map
    }
  }
}
