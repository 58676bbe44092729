internal import ModuleKit

/// What a call has to know of what its keying tells the transport.
extension KeyingCommand {
  /// Whether running keys change by it. A new association is known by the path that it takes.
  var isRekey: Bool {
    switch self {
    case .installInbound(_, .carried): true
    case .plain: false
    case .installInbound: false
    case .installOutbound: false
    case .switchOutbound: false
    case .expectInbound: false
    case .makeKeyExchange: false
    case .startKeyExchange: false
    case .withdrawKeyExchange: false
    }
  }

  var isPlain: Bool {
    switch self {
    case .plain: true
    case .installInbound: false
    case .installOutbound: false
    case .switchOutbound: false
    case .expectInbound: false
    case .makeKeyExchange: false
    case .startKeyExchange: false
    case .withdrawKeyExchange: false
    }
  }

  /// Whether it is the first that a transport hears of some keys.
  var beginsKeys: Bool {
    switch self {
    case .installInbound: true
    case .makeKeyExchange: true
    case .plain: false
    case .installOutbound: false
    case .switchOutbound: false
    case .expectInbound: false
    case .startKeyExchange: false
    case .withdrawKeyExchange: false
    }
  }

  var withdrawsKeys: Bool {
    switch self {
    case .withdrawKeyExchange: true
    case .plain: false
    case .installInbound: false
    case .installOutbound: false
    case .switchOutbound: false
    case .expectInbound: false
    case .makeKeyExchange: false
    case .startKeyExchange: false
    }
  }
}
