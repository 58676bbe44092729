internal import Handoff
internal import ModuleKit
internal import NetBase
internal import g711

/// What the noise of a `probe` source is after G.711.
package enum ExpectedAudio {
  private static let known = Locked<[Int16]>([])
  private static let table = Locked<HeardAudio.Noise?>(nil)

  /// A minute of the noise, encoded and decoded.
  static func noise() throws -> HeardAudio.Noise {
    if let table = self.table.withLock({ $0 }) { return table }
    let made = HeardAudio.Noise(try self.muLaw(count: 480_000), encoded: try self.encoded(count: 480_000))
    self.table.withLock { $0 = made }
    return made
  }

  /// Whether these eight bytes of PCMU begin a packet of the noise.
  package static func isNoise(_ bytes: [UInt8]) throws -> Bool { try self.noise().beginnings.contains(bytes) }

  /// The first `count` samples of the noise, encoded and decoded.
  package static func muLaw(count: Int) throws -> [Int16] {
    let known = self.known.withLock { $0 }
    if known.count >= count { return Array(known[..<count]) }
    let made = try self.coded(count: max(count, 480_000))
    self.known.withLock { $0 = made }
    return Array(made[..<count])
  }

  private static func coded(count: Int) throws -> [Int16] {
    let payload = try self.encoded(count: count)
    var decoded = [Int16](repeating: 0, count: count)
    var samples = decoded.mutableSpan
    guard let codec = try self.codec() else { return [] }
    let decoder = try codec.makeDecoder(self.parameters)()
    _ = payload.withRawSpan { decoder.decode($0, into: &samples) }
    return decoded
  }

  private static let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)

  private static func codec() throws -> (any AudioCodec)? {
    guard case .codec(let codec) = try G711(settings: ModuleSettings(keys: [])).facets[0].body else { return nil }
    return codec
  }

  /// The first `count` samples of the noise as PCMU.
  static func encoded(count: Int) throws -> [UInt8] {
    guard let codec = try self.codec() else { return [] }
    let encoder = try codec.makeEncoder(self.parameters)()
    let noise = (0..<count).map { ProbeNoise.sample($0) }
    var payload = [UInt8](repeating: 0, count: count)
    var room = payload.mutableSpan
    var bytes = unsafe room.mutableBytes
    _ = encoder.encode(noise.span, into: &bytes)
    return payload
  }

  /// How many samples of `heard` after its leading silence are the noise, from its beginning on; nil when one differs.
  package static func matchedSamples(_ heard: [Int16]) throws -> Int? {
    guard let first = heard.firstIndex(where: { $0 != 0 }) else { return 0 }
    let expected = try Self.muLaw(count: heard.count)
    // The noise itself may begin with zeros.
    let lead = expected.firstIndex { $0 != 0 } ?? 0
    guard first >= lead else { return nil }
    let played = heard[(first - lead)...]
    return Array(played) == Array(expected[..<played.count]) ? played.count : nil
  }
}
