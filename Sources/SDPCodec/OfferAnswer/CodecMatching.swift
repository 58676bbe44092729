/// One codec under the numbers of both sides.
struct CodecPair: Hashable, Sendable {
  /// The peer's number and parameters: what to send.
  var remote: CodecFormat
  /// This side's number and parameters: what arrives.
  var local: CodecFormat
}

/// Whether the parameters of two formats of one codec go together.
package enum FormatVerdict: Hashable, Sendable {
  /// They do; an answer carries `fmtp` for it.
  case accepted(fmtp: String?)
  case refused
}

/// How common codecs are found.
package struct CodecMatching: Sendable {
  /// Answers list codecs in the peer's order rather than in ours.
  package var preferRemoteOrder: Bool
  /// Asked for each pair of equal name, clock rate and channels: our format under the peer's number, and the peer's.
  package var compare: @Sendable (_ local: CodecFormat, _ remote: CodecFormat) -> FormatVerdict

  /// Without `compare` all parameters go together, and an answer carries ours.
  package init(
    preferRemoteOrder: Bool = false,
    compare: @escaping @Sendable (_ local: CodecFormat, _ remote: CodecFormat) -> FormatVerdict = { local, _ in
      .accepted(fmtp: local.fmtp)
    }
  ) {
    self.preferRemoteOrder = preferRemoteOrder
    self.compare = compare
  }

  /// The codecs of an offer that `local` has too, under the offer's numbers, in the order of the answer.
  func answer(_ offered: [CodecFormat], with local: [CodecCapability]) -> [CodecPair] {
    var found: [(rank: Int, pair: CodecPair)] = []
    var used: Set<Int> = []
    for remote in offered where !remote.identity.isRetransmission {
      for (rank, codec) in local.enumerated() where !used.contains(rank) && codec.identity == remote.identity {
        let candidate = codec.format(remote.payloadType, fmtp: codec.fmtp)
        guard case .accepted(let fmtp) = self.compare(candidate, remote) else { continue }
        used.insert(rank)
        found.append((rank, CodecPair(remote: remote, local: codec.format(remote.payloadType, fmtp: fmtp))))
        break
      }
    }
    if !self.preferRemoteOrder { found.sort { $0.rank < $1.rank } }
    // Redundant audio is that of one codec, the first.
    if let first = found.first(where: { !$0.pair.remote.isAuxiliary })?.pair.remote {
      found.removeAll {
        $0.pair.remote.isRedundantAudio
          && ($0.pair.remote.clockRate, $0.pair.remote.channels) != (first.clockRate, first.channels)
      }
    }
    if !self.preferRemoteOrder {
      // Browsers send redundant audio where both lists begin with it.
      if offered.first?.isRedundantAudio == true,
        let place = found.firstIndex(where: { $0.pair.remote.isRedundantAudio })
      {
        found.insert(found.remove(at: place), at: 0)
      }
    }
    let repairs = local.contains(where: \.identity.isRetransmission) ? offered.filter { $0.repairedType != nil } : []
    return keepingUsefulTelephoneEvents(
      found.map(\.pair)
        + repairs.filter { format in found.contains { $0.pair.remote.payloadType == format.repairedType } }
        .map { CodecPair(remote: $0, local: $0) }
    ) { $0.remote.identity }
  }

  /// The codecs of an answer that were offered, in the answer's order; the peer may have chosen other numbers.
  func accept(_ answered: [CodecFormat], offered: [CodecFormat]) -> [CodecPair] {
    var used: Set<UInt8> = []
    let pairs: [CodecPair] = answered.compactMap { remote in
      let alike = offered.filter { !used.contains($0.payloadType) && $0.identity == remote.identity }
      // Of several alike the one under the same number comes first (RFC 3264 §6.1).
      let ordered = alike.filter { $0.payloadType == remote.payloadType } + alike
      for local in ordered {
        guard case .accepted = self.compare(local, remote) else { continue }
        used.insert(local.payloadType)
        return CodecPair(remote: remote, local: local)
      }
      return nil
    }
    let numbers = Set(pairs.map(\.remote.payloadType))
    return pairs.filter { !$0.remote.identity.isRetransmission || numbers.contains($0.remote.repairedType ?? 128) }
  }
}

extension [CodecPair] {
  /// The first codec, with what sends its packets again: video has one codec at a time.
  var ofFirstCodec: [CodecPair] {
    guard let first = self.first(where: { !$0.remote.isAuxiliary }) else { return [] }
    return [first] + self.filter { $0.remote.repairedType == first.remote.payloadType }
  }
}
