/// Which packets of a `probe` source are in what a player heard, after PCMU, and what else is.
///
/// The source's noise differs in each place, so that every 20 ms of it are found wherever they were played.
package struct HeardAudio {
  /// Samples of a packet.
  package static let block = 160
  /// Where G.711's concealment blends what it made up into the packet after a gap.
  private static let blended = 40
  private static let keyCount = 8

  /// The packets that were played, in order, by their number at the source.
  package private(set) var packets: [Int] = []
  /// Packets whose beginning differs although nothing was made up before them.
  package private(set) var spoiled = 0
  /// Whether the packets are all from the source's first on, every sample as it was, and nothing is between them.
  package private(set) var isGapless = true

  package init(_ samples: [Int16]) throws {
    let expected = try ExpectedAudio.noise()
    var position = 0
    var end = 0
    while position + Self.block <= samples.count {
      guard let packet = expected.packet(in: samples, at: position) else {
        position += 1
        continue
      }
      let start = packet * Self.block
      let isWhole = (0..<Self.blended).allSatisfy { samples[position + $0] == expected.samples[start + $0] }
      if !isWhole, position == end, packet > 0, self.packets.last == packet - 1 { self.spoiled += 1 }
      let isNext = packet == self.packets.count && (self.packets.isEmpty || position == end)
      if !isWhole || !isNext { self.isGapless = false }
      self.packets.append(packet)
      position += Self.block
      end = position
    }
  }

  /// Whether each packet is from later in the source than the one before it.
  package var isInOrder: Bool { zip(self.packets, self.packets.dropFirst()).allSatisfy { $0 < $1 } }

  /// A minute of the noise, with a table of its packets.
  package struct Noise: Sendable {
    let samples: [Int16]
    private let places: [UInt64: Int]
    /// The first eight bytes of each packet.
    let beginnings: Set<[UInt8]>

    init(_ samples: [Int16], encoded: [UInt8]) {
      self.beginnings = Set(
        stride(from: 0, to: encoded.count, by: HeardAudio.block).map { Array(encoded[$0..<$0 + 8]) })
      self.samples = samples
      var places: [UInt64: Int] = [:]
      for packet in 0..<samples.count / HeardAudio.block {
        let place = packet * HeardAudio.block + HeardAudio.blended
        if let key = Self.key(samples, place) { places[key] = packet }
      }
      self.places = places
    }

    /// The packet whose samples, but for those that may be blended, are at `position`.
    func packet(in heard: [Int16], at position: Int) -> Int? {
      guard let key = Self.key(heard, position + HeardAudio.blended), let packet = self.places[key] else { return nil }
      let start = packet * HeardAudio.block
      for offset in HeardAudio.blended..<HeardAudio.block
      where heard[position + offset] != self.samples[start + offset] {
        return nil
      }
      return packet
    }

    /// Nil for silence.
    private static func key(_ samples: [Int16], _ place: Int) -> UInt64? {
      var key: UInt64 = 0
      for offset in 0..<HeardAudio.keyCount {
        key = (key &+ UInt64(UInt16(bitPattern: samples[place + offset]))) &* 0x9E37_79B9_7F4A_7C15
      }
      return key == 0 ? nil : key
    }
  }
}
