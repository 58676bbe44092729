import ModuleKit
import NetBase
import Testing
import g711

@Suite("G.711") struct CompandingTests {
  static let codecs = facetCodecs()

  @Test("PCMU comes first, and both have their static payload types")
  func description() {
    #expect(Self.codecs.map(\.encodingName) == ["PCMU", "PCMA"])
    #expect(Self.codecs.map(\.staticPayloadType) == [0, 8])
    #expect(Self.codecs.allSatisfy { $0.clockRate == 8000 && $0.channels == 1 && $0.offeredParameters == nil })
  }

  @Test(
    "samples encode as the reference (Python's audioop) encodes them",
    arguments: [
      (-32768, 0x00, 0x2A), (-32767, 0x00, 0x2A), (-32636, 0x00, 0x2A), (-32124, 0x00, 0x2A), (-20000, 0x0C, 0x26),
      (-8192, 0x1F, 0x0A), (-1000, 0x4E, 0x7A), (-133, 0x6F, 0x5D), (-132, 0x6F, 0x5D), (-131, 0x6F, 0x5D),
      (-100, 0x72, 0x53), (-17, 0x7C, 0x54), (-16, 0x7D, 0x55), (-9, 0x7D, 0x55), (-8, 0x7E, 0x55), (-1, 0x7E, 0x55),
      (0, 0xFF, 0xD5), (3, 0xFF, 0xD5), (4, 0xFE, 0xD5), (9, 0xFE, 0xD5), (15, 0xFD, 0xD5), (16, 0xFD, 0xD4),
      (31, 0xFB, 0xD4), (32, 0xFB, 0xD7), (100, 0xF2, 0xD3), (132, 0xEF, 0xDD), (255, 0xE7, 0xDA), (256, 0xE7, 0xC5),
      (1000, 0xCE, 0xFA), (4095, 0xAF, 0x9A), (4096, 0xAF, 0x85), (8191, 0x9F, 0x8A), (8192, 0x9F, 0xB5),
      (12345, 0x97, 0xBD), (16383, 0x8F, 0xBA), (16384, 0x8F, 0xA5), (31000, 0x81, 0xAB), (32124, 0x80, 0xAA),
      (32635, 0x80, 0xAA), (32767, 0x80, 0xAA),
    ] as [(Int16, UInt8, UInt8)])
  func encodes(sample: Int16, mu: UInt8, a: UInt8) throws {
    #expect(try Self.codecs.map { try encode([sample], $0) } == [[mu], [a]])
  }

  @Test(
    "bytes decode as the reference decodes them",
    arguments: [
      (0x00, -32124, -5504), (0x01, -31100, -5248), (0x0F, -16764, -6784), (0x10, -15996, -2752), (0x2A, -5372, -32256),
      (0x55, -716, -8), (0x7E, -8, -880), (0x7F, 0, -848), (0x80, 32124, 5504), (0x81, 31100, 5248),
      (0x8F, 16764, 6784), (0xAA, 5372, 32256), (0xD5, 716, 8), (0xD4, 748, 24), (0xFE, 8, 880), (0xFF, 0, 848),
    ] as [(UInt8, Int16, Int16)])
  func decodes(byte: UInt8, mu: Int16, a: Int16) throws {
    #expect(try Self.codecs.map { try decode([byte], $0) } == [[mu], [a]])
  }

  @Test("all 65536 samples and all 256 bytes hash to what audioop's results hash to (FNV-1a)")
  func everything() throws {
    let samples = Array(Int16.min...Int16.max)
    #expect(try Self.codecs.map { hash(try encode(samples, $0)) } == [0xd5ee_23f7_d0ff_ae91, 0xf030_666e_b780_cf25])
    let bytes = Array(UInt8.min...UInt8.max)
    let littleEndian = try Self.codecs.map { codec in
      try decode(bytes, codec).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    }
    #expect(littleEndian.map(hash) == [0xb91e_65d6_8481_a1a8, 0x693a_40ca_62a3_d2a5])
  }

  @Test("decoding, encoding and decoding again changes nothing", arguments: codecs.indices)
  func identity(index: Int) throws {
    let codec = Self.codecs[index]
    let once = try decode(Array(UInt8.min...UInt8.max), codec)
    #expect(try decode(try encode(once, codec), codec) == once)
  }

  @Test("an empty payload, one longer than the room, and a payload without room are refused")
  func refusals() throws {
    let decoder = try Self.codecs[0].makeDecoder(parameters)()
    var room = [Int16](repeating: 0, count: 10)
    var span = room.mutableSpan
    #expect([UInt8]().withRawSpan { decoder.decode($0, into: &span) } == nil)
    #expect([UInt8](repeating: 0, count: 11).withRawSpan { decoder.decode($0, into: &span) } == nil)
    #expect([UInt8](repeating: 0, count: 10).withRawSpan { decoder.decode($0, into: &span) } == 10)
    let encoder = try Self.codecs[0].makeEncoder(parameters)()
    var bytes = [UInt8](repeating: 0, count: 9)
    var bytesSpan = bytes.mutableSpan
    var payload = unsafe bytesSpan.mutableBytes
    guard case .failed = encoder.encode(room.span, into: &payload) else {
      Issue.record("ten samples in nine bytes")
      return
    }
  }
}

let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)

func facetCodecs() -> [any AudioCodec] {
  guard let module = try? G711(settings: ModuleSettings(keys: [])) else { return [] }
  return module.facets.compactMap { facet in
    guard case .codec(let codec) = facet.body else { return nil }
    return codec
  }
}

func encode(_ samples: [Int16], _ codec: any AudioCodec) throws -> [UInt8] {
  let encoder = try codec.makeEncoder(parameters)()
  var bytes = [UInt8](repeating: 0, count: samples.count)
  var span = bytes.mutableSpan
  var payload = unsafe span.mutableBytes
  guard case .payload(samples.count) = encoder.encode(samples.span, into: &payload) else { return [] }
  return bytes
}

func decode(_ bytes: [UInt8], _ codec: any AudioCodec) throws -> [Int16] {
  let decoder = try codec.makeDecoder(parameters)()
  var samples = [Int16](repeating: 0, count: bytes.count)
  var span = samples.mutableSpan
  guard bytes.withRawSpan({ decoder.decode($0, into: &span) }) == bytes.count else { return [] }
  return samples
}

func hash(_ bytes: [UInt8]) -> UInt64 {
  bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
