internal import Handoff
internal import ModuleKit
internal import NetBase
internal import g711

/// What the noise of a `probe` source is after G.711.
package enum ExpectedAudio {
  private static let known = Locked<[Int16]>([])

  /// The first `count` samples of the noise, encoded and decoded.
  package static func muLaw(count: Int) throws -> [Int16] {
    let known = self.known.withLock { $0 }
    if known.count >= count { return Array(known[..<count]) }
    let made = try self.coded(count: max(count, 480_000))
    self.known.withLock { $0 = made }
    return Array(made[..<count])
  }

  private static func coded(count: Int) throws -> [Int16] {
    let module = try G711(settings: ModuleSettings(keys: []))
    guard case .codec(let codec) = module.facets[0].body else { return [] }
    let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)
    let (encoder, decoder) = (try codec.makeEncoder(parameters)(), try codec.makeDecoder(parameters)())
    let noise = (0..<count).map { ProbeNoise.sample($0) }
    var payload = [UInt8](repeating: 0, count: count)
    var room = payload.mutableSpan
    var bytes = unsafe room.mutableBytes
    _ = encoder.encode(noise.span, into: &bytes)
    var decoded = [Int16](repeating: 0, count: count)
    var samples = decoded.mutableSpan
    _ = payload.withRawSpan { decoder.decode($0, into: &samples) }
    return decoded
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
