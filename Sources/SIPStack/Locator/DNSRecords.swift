package import NetBase

/// One question that RFC 3263 needs answered by DNS.
package enum DNSQuestion: Hashable, Sendable, CustomStringConvertible {
  case naptr(String)
  case srv(String)
  case a(String)
  case aaaa(String)

  package var name: String {
    switch self {
    case .naptr(let name), .srv(let name), .a(let name), .aaaa(let name): name
    }
  }

  package var description: String {
    switch self {
    case .naptr(let name): "NAPTR \(name)"
    case .srv(let name): "SRV \(name)"
    case .a(let name): "A \(name)"
    case .aaaa(let name): "AAAA \(name)"
    }
  }
}

/// What DNS answered.
package enum DNSAnswer: Hashable, Sendable {
  case naptr([NAPTRRecord])
  case srv([SRVRecord])
  /// The addresses of A or AAAA records; their ports mean nothing.
  case addresses([SocketAddress])
  /// There is no such name, or no record of this kind.
  case nothing
  /// No server answered, or all refused, with the reason in a few words.
  case failed(String)
}

/// A NAPTR record (RFC 3403 §4.1).
package struct NAPTRRecord: Hashable, Sendable {
  package var order: UInt16
  package var preference: UInt16
  package var flags: String
  package var service: String
  package var regularExpression: String
  /// Without the dot at its end.
  package var replacement: String

  package init(
    order: UInt16, preference: UInt16, flags: String, service: String, regularExpression: String = "",
    replacement: String
  ) {
    (self.order, self.preference, self.flags, self.service) = (order, preference, flags, service)
    (self.regularExpression, self.replacement) = (regularExpression, replacement)
  }
}

/// An SRV record (RFC 2782).
package struct SRVRecord: Hashable, Sendable {
  package var priority: UInt16
  package var weight: UInt16
  package var port: UInt16
  /// Without the dot at its end; empty when the service is decidedly not available.
  package var target: String

  package init(priority: UInt16, weight: UInt16, port: UInt16, target: String) {
    (self.priority, self.weight, self.port, self.target) = (priority, weight, port, target)
  }
}

extension SRVRecord {
  /// The order in which servers are tried: lowest priority first, chance by weight within one (RFC 2782).
  static func ordered(_ records: [SRVRecord], _ generator: inout SeededGenerator) -> [SRVRecord] {
    var ordered: [SRVRecord] = []
    ordered.reserveCapacity(records.count)
    for priority in Set(records.map(\.priority)).sorted() {
      // Those of weight zero stand first, so that they have a small chance and no more.
      var rest = records.filter { $0.priority == priority }.sorted {
        ($0.weight == 0 ? 0 : 1) < ($1.weight == 0 ? 0 : 1)
      }
      while !rest.isEmpty {
        let total = rest.reduce(0) { $0 + Int($1.weight) }
        let chosen = Int.random(in: 0...total, using: &generator)
        var sum = 0
        let index = rest.firstIndex { record in
          sum += Int(record.weight)
          return sum >= chosen
        }
        ordered.append(rest.remove(at: index ?? 0))
      }
    }
    return ordered
  }
}
