import SRTPEngine
import Testing

/// Runs each test of a suite once with each transform; what takes none by name then takes that one.
struct BothTransforms: SuiteTrait, TestTrait, TestScoping {
  @TaskLocal static var current = SRTPTransform.standard

  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    for transform in SRTPTransform.allCases {
      try await Self.$current.withValue(transform) { try await function() }
    }
  }
}

extension Trait where Self == BothTransforms {
  static var bothTransforms: BothTransforms { BothTransforms() }
}

// Without a default argument these go before those of the engine.

extension InboundKeys {
  init() { self.init(replayWindow: 128, transform: BothTransforms.current) }
}

extension OutboundKeys {
  init() { self.init(transform: BothTransforms.current) }
}

extension InboundSRTP {
  init(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    try self.init(material, replayWindow: 128, transform: BothTransforms.current)
  }
}

extension OutboundSRTP {
  init(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    try self.init(material, transform: BothTransforms.current)
  }
}
