/// The numbers of one media line. A number keeps its meaning for the session's life (RFC 3264 §8.3.2).
struct PayloadTypes: Hashable, Sendable {
  /// What each number has stood for since the session began.
  private var meanings: [UInt8: CodecIdentity] = [:]
  /// The number that each codec was agreed under last; later offers use it again.
  private var agreed: [CodecIdentity: UInt8] = [:]

  /// The numbers that codecs were agreed under last.
  var agreedNumbers: [UInt8] { Array(self.agreed.values) }

  /// Notes what both sides have settled on.
  mutating func settle(_ formats: [CodecFormat]) {
    for format in formats {
      self.meanings[format.payloadType] = format.identity
      self.agreed[format.identity] = format.payloadType
    }
  }

  /// Notes what was offered: those numbers are taken from now on.
  mutating func reserve(_ formats: [CodecFormat]) {
    for format in formats where self.meanings[format.payloadType] == nil {
      self.meanings[format.payloadType] = format.identity
    }
  }

  /// Numbers for an offer. `avoiding` holds those of other lines, used again only when no other is left. A codec for
  /// which no number is left is dropped.
  func assign(_ codecs: [CodecCapability], avoiding: Set<UInt8>) -> [CodecFormat] {
    var numbers = [UInt8?](repeating: nil, count: codecs.count)
    var taken: Set<UInt8> = []
    for (index, codec) in codecs.enumerated() {
      let wished = codec.payloadType.flatMap { avoiding.contains($0) ? nil : $0 }
      let wishes = [self.agreed[codec.identity], wished, PayloadTypes.fixedNumber(codec.identity)]
      guard
        let number = wishes.lazy.compactMap({ $0 }).first(where: {
          $0 < 128 && !taken.contains($0) && self.allows($0, codec.identity)
        })
      else { continue }
      numbers[index] = number
      taken.insert(number)
    }
    // The usual number of telephone-event is given away only when all others are.
    let order: [UInt8] = Array(96...100) + Array(102...127) + Array(35...63) + [101]
    for (index, codec) in codecs.enumerated() where numbers[index] == nil {
      let candidates = codec.identity.isTelephoneEvent ? [101] + order : order
      let free = candidates.filter { !taken.contains($0) && self.allows($0, codec.identity) }
      guard let number = free.first(where: { !avoiding.contains($0) }) ?? free.first else { continue }
      numbers[index] = number
      taken.insert(number)
    }
    return zip(codecs, numbers).compactMap { codec, number in number.map { codec.format($0, fmtp: codec.fmtp) } }
  }

  /// Whether `number` has meant nothing else in this session.
  private func allows(_ number: UInt8, _ identity: CodecIdentity) -> Bool {
    self.meanings[number].map { $0 == identity } ?? true
  }

  /// The number that RFC 3551 §6 gives to a codec.
  private static func fixedNumber(_ identity: CodecIdentity) -> UInt8? {
    (0...34).first { CodecFormat.fixed($0)?.identity == identity }
  }
}
