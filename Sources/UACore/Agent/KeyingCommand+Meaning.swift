internal import ModuleKit

/// What a call has to know of what its keying tells the transport.
struct KeyingMeaning: OptionSet {
  let rawValue: UInt8

  /// Running keys change by it. A new association is known by the path that it takes.
  static let rekeys = KeyingMeaning(rawValue: 1)
  /// Nothing is to be encrypted.
  static let isPlain = KeyingMeaning(rawValue: 2)
  /// It is the first that a transport hears of some keys.
  static let beginsKeys = KeyingMeaning(rawValue: 4)
  static let withdrawsKeys = KeyingMeaning(rawValue: 8)
}

extension KeyingCommand {
  var meaning: KeyingMeaning {
    switch self {
    case .plain: .isPlain
    case .installInbound(_, .carried): [.rekeys, .beginsKeys]
    case .installInbound: .beginsKeys
    case .installOutbound: []
    case .switchOutbound: []
    case .expectInbound: []
    case .makeKeyExchange: .beginsKeys
    case .startKeyExchange: []
    case .withdrawKeyExchange: .withdrawsKeys
    }
  }
}
