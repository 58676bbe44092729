package import NetBase

/// The offer/answer machine of one session (RFC 3264): a value, so a copy is a snapshot.
///
/// Calls come in pairs: `makeOffer` then `receiveAnswer` or `rollback`; `receiveOffer` then `makeAnswer` or `rollback`. What
/// was agreed last stands until the next answer. Which side may offer when is the caller's matter (SIP answers 491).
package struct OfferAnswer: Sendable {
  /// How common codecs are found.
  package var matching: CodecMatching
  /// Written at session level in every offer and answer, such as `a=group` or `a=ice-options`.
  package var sessionAttributes: [SDPAttribute] = []
  /// Whether the lines that have a name and rtcp-mux are offered, and taken, as one BUNDLE group (RFC 9143).
  package var usesBundle = false
  /// What both sides agreed on, per media line; empty before the first answer.
  package private(set) var negotiated: [NegotiatedMedia] = []
  /// Our side of the last agreement.
  package private(set) var localDescription: SessionDescription?
  /// The peer's side of the last agreement.
  package private(set) var remoteDescription: SessionDescription?

  private enum Phase: Sendable {
    case stable
    /// Our offer waits for its answer; per line what was offered, nil when disabled.
    case offered(SessionDescription, lines: [OfferedLine?])
    /// The peer's offer waits for ours.
    case offeredByPeer(SessionDescription, media: [RemoteMedia])
  }

  private struct OfferedLine: Sendable {
    var local: LocalMedia
    var formats: [CodecFormat]
  }

  private var phase = Phase.stable
  private var payloadTypes: [PayloadTypes] = []
  private let origin: SDPOrigin
  private var version: UInt64
  /// The last description that left this side; the next one has a higher version when it says something else.
  package private(set) var lastSent: SessionDescription?

  /// A session before its first offer. `sessionID` and `version` are the numbers of the `o=` line, best below 2^63
  /// (RFC 3264 §5); `address` is the host there, and of a description without any media.
  package init(
    sessionID: UInt64, version: UInt64 = 1, username: String = "-", address: SocketAddress,
    matching: CodecMatching = CodecMatching()
  ) {
    self.origin = SDPOrigin(
      username: username, sessionID: "\(sessionID)", sessionVersion: "\(version)", connection: SDPConnection(address))
    self.version = version
    self.matching = matching
  }

  /// Our offer waits for its answer.
  package var awaitsAnswer: Bool { if case .offered = self.phase { true } else { false } }

  /// The peer's offer waits for ours.
  package var owesAnswer: Bool { self.offeredByPeer != nil }

  /// The lines of the peer's offer, while it waits for our answer.
  package var offeredByPeer: [RemoteMedia]? {
    if case .offeredByPeer(_, let media) = self.phase { media } else { nil }
  }

  /// Drops the pending offer, whosever it is, after it was rejected; what was agreed before stands (RFC 3264 §8).
  package mutating func rollback() { self.phase = .stable }

  // MARK: Offering

  /// Makes an offer with a line per element; nil disables a line that an earlier description had, and lines beyond `local`
  /// are disabled likewise, for a line never goes away (RFC 3264 §8). A pending offer of ours is replaced.
  package mutating func makeOffer(_ local: [LocalMedia?]) throws(NegotiationError) -> SessionDescription {
    if case .offeredByPeer = self.phase { throw .offerPending }
    let known = self.localDescription?.media ?? []
    let count = max(local.count, known.count)
    guard count <= SDPLimits.media else { throw .tooManyMedia(count) }
    var lines: [OfferedLine?] = []
    var offered: Set<UInt8> = []
    var names = Set(known.compactMap(\.mid))
    for index in 0..<count {
      guard index < local.count, var media = local[index], media.address.port != 0 else {
        guard index < known.count else { throw .unknownMedia(index: index) }
        lines.append(nil)
        continue
      }
      let codecs = keepingUsefulTelephoneEvents(media.codecs, \.identity)
      let numbers = index < self.payloadTypes.count ? self.payloadTypes[index] : PayloadTypes()
      // Those of lines that follow too: in one group a number means one codec (RFC 9143 §9.1.1).
      let elsewhere = self.payloadTypes.enumerated().filter { $0.offset != index }.flatMap { $0.element.agreedNumbers }
      let formats = numbers.assign(codecs, avoiding: offered.union(elsewhere)).withRepairedTypes
      guard isUseful(formats.map(\.identity), wanted: codecs.map(\.identity)) else { throw .noCodec(index: index) }
      offered.formUnion(formats.map(\.payloadType))
      media.extensions = media.extensions.numbered(
        as: index < self.negotiated.count ? self.negotiated[index].extensions : [])
      // A line keeps the name that was agreed on, which may be the peer's choice.
      if index < known.count, let mid = known[index].mid {
        media.mid = mid
      } else if let wished = media.mid {
        media.mid = names.insertUnlike(wished)
      }
      lines.append(OfferedLine(local: media, formats: formats))
    }
    let used = lines.lazy.compactMap { $0?.local }.first
    let connection = self.sessionConnection(used)
    let sections = lines.enumerated().map { index, line in
      if let line {
        MediaDescription(line.local, formats: line.formats, session: connection)
      } else {
        known[index].disabled(beside: used)
      }
    }
    let bundle = lines.compactMap { $0?.local }.filter(\.rtcpMux).compactMap(\.mid)
    let offer = self.send(sections, connection: connection, bundles: [bundle])
    for (index, line) in lines.enumerated() { self.reserve(line?.formats ?? [], at: index) }
    self.phase = .offered(offer, lines: lines)
    return offer
  }

  /// Takes the answer to our offer. When it is refused with an error our offer still waits: roll back, or end the call.
  @discardableResult
  package mutating func receiveAnswer(
    _ answer: SessionDescription
  ) throws(NegotiationError) -> [NegotiatedMedia] {
    guard case .offered(let offer, let lines) = self.phase else { throw .noOffer }
    guard answer.media.count == offer.media.count else {
      throw .mediaCount(offered: offer.media.count, answered: answer.media.count)
    }
    var negotiated: [NegotiatedMedia] = []
    for index in offer.media.indices {
      negotiated.append(try self.accept(answer, index, offered: offer.media[index], line: lines[index]))
    }
    self.agree(local: offer, remote: answer, negotiated)
    return negotiated
  }

  private func accept(
    _ answer: SessionDescription, _ index: Int, offered: MediaDescription, line: OfferedLine?
  ) throws(NegotiationError) -> NegotiatedMedia {
    let remote = RemoteMedia(answer, index: index, known: line?.formats ?? [])
    guard remote.kind == offered.kind else { throw .kindMismatch(index: index) }
    guard !remote.isDisabled else {
      return NegotiatedMedia(rejected: offered, index: index, because: line == nil ? .notOffered : .refusedByPeer)
    }
    guard let line else { throw .answeredDisabledMedia(index: index) }
    guard remote.protocolName.lowercased() == offered.protocolName.lowercased() else {
      throw .protocolMismatch(index: index, offered: offered.protocolName, answered: remote.protocolName)
    }
    let pairs = self.matching.accept(remote.codecs, offered: line.formats)
    guard isUseful(pairs.map(\.remote.identity), wanted: line.local.codecs.map(\.identity)) else {
      throw .noCommonCodec(index: index)
    }
    guard remote.rtp != nil else { throw .noAddress(index: index) }
    var local = line.local
    local.extensions = remote.extensionMaps.accept(offered: local.extensions)
    local.feedback = remote.agreedFeedback(local.feedback, pairs)
    return NegotiatedMedia(remote, local: local, pairs: pairs)
  }

  // MARK: Answering

  /// Keeps the peer's offer until `makeAnswer` or `rollback`; a pending offer of the peer's is replaced. Returns its lines.
  @discardableResult
  package mutating func receiveOffer(_ offer: SessionDescription) throws(NegotiationError) -> [RemoteMedia] {
    if case .offered = self.phase { throw .offerPending }
    let media = offer.media.indices.map { RemoteMedia(offer, index: $0) }
    self.phase = .offeredByPeer(offer, media: media)
    return media
  }

  /// Answers the pending offer: one element per line of it, nil (or none) refuses the line.
  ///
  /// Throws `nothingInCommon` when every line that was wanted fails; then nothing has changed, and SIP says 488. `negotiated`
  /// says per line what came of it.
  package mutating func makeAnswer(_ local: [LocalMedia?]) throws(NegotiationError) -> SessionDescription {
    guard case .offeredByPeer(let offer, let media) = self.phase else { throw .noOffer }
    let connection = self.sessionConnection(local.prefix(media.count).lazy.compactMap { $0 }.first)
    var sections: [MediaDescription] = []
    var negotiated: [NegotiatedMedia] = []
    for remote in media {
      let own = remote.index < local.count ? local[remote.index] : nil
      switch self.answer(remote, with: own) {
      case .success(let (line, pairs)):
        negotiated.append(NegotiatedMedia(remote, local: line, pairs: pairs))
        sections.append(MediaDescription(line, formats: pairs.map(\.local), session: connection))
      case .failure(let reason):
        negotiated.append(NegotiatedMedia(rejected: remote.section, index: remote.index, because: reason.rejection))
        sections.append(remote.section)
      }
    }
    let used = zip(local, negotiated).first { $1.isActive }?.0
    for (index, line) in negotiated.enumerated() where !line.isActive {
      sections[index] = sections[index].disabled(beside: used)
    }
    let reasons = negotiated.compactMap(\.rejection)
    if reasons.count == media.count, reasons.contains(where: { $0 != .notOffered && $0 != .notWanted }) {
      throw .nothingInCommon(reasons)
    }
    // A group keeps those of its lines that were taken, in its order (RFC 9143 §7.3).
    let taken = Set(zip(sections, negotiated).filter { $1.rejection == nil && $1.rtcpMux }.compactMap { $0.0.mid })
    let bundles = offer.bundles.map { $0.filter(taken.contains) }
    let answer = self.send(sections, connection: connection, bundles: bundles)
    self.agree(local: answer, remote: offer, negotiated)
    return answer
  }

  private struct Refusal: Error {
    var rejection: MediaRejection
  }

  /// Our side of an answered line, with the peer's token and name, and the direction of RFC 3264 §6.1.
  private func answer(_ remote: RemoteMedia, with own: LocalMedia?) -> Result<(LocalMedia, [CodecPair]), Refusal> {
    func refuse(_ reason: MediaRejection) -> Result<(LocalMedia, [CodecPair]), Refusal> {
      .failure(Refusal(rejection: reason))
    }
    guard !remote.isDisabled else { return refuse(.notOffered) }
    guard var line = own, line.address.port != 0, line.kind == remote.kind else { return refuse(.notWanted) }
    guard line.accepts(remote.protocolName) else { return refuse(.protocolNotAccepted(remote.protocolName)) }
    guard remote.rtp != nil else { return refuse(.noAddress) }
    let common = self.matching.answer(remote.codecs, with: line.codecs)
    let pairs = line.answersOneCodec ? common.ofFirstCodec : common
    guard isUseful(pairs.map(\.remote.identity), wanted: line.codecs.map(\.identity)) else {
      return refuse(.noCommonCodec)
    }
    line.protocolName = remote.protocolName
    line.direction = line.direction.intersection(remote.mediaDirection.reversed)
    line.rtcpMux = line.rtcpMux && remote.rtcpMux
    line.rtcpRsize = line.rtcpRsize && remote.rtcpRsize
    if line.rtcpMux { line.rtcpPort = nil }
    line.mid = remote.mid
    line.extensions = remote.extensionMaps.answer(with: line.extensions)
    line.feedback = remote.agreedFeedback(line.feedback, pairs)
    return .success((line, pairs))
  }

  // MARK: Both

  private func sessionConnection(_ first: LocalMedia?) -> SDPConnection {
    first.map { SDPConnection($0.address) } ?? self.origin.connection
  }

  /// Dresses the sections for the wire. The version goes up by one when anything differs from what was sent last
  /// (RFC 3264 §8), be that agreed or rejected.
  private mutating func send(
    _ sections: [MediaDescription], connection: SDPConnection, bundles: [[String]]
  ) -> SessionDescription {
    var session = SessionDescription(
      origin: self.origin, connection: connection, attributes: self.sessionAttributes, media: sections)
    for mids in bundles where self.usesBundle && !mids.isEmpty {
      session.add("group", SDPGroup(semantics: "BUNDLE", mids: mids).text)
    }
    session.origin.sessionVersion = "\(self.version)"
    if let lastSent = self.lastSent, lastSent != session {
      self.version &+= 1
      session.origin.sessionVersion = "\(self.version)"
    }
    self.lastSent = session
    return session
  }

  private mutating func reserve(_ formats: [CodecFormat], at index: Int) {
    while self.payloadTypes.count <= index { self.payloadTypes.append(PayloadTypes()) }
    self.payloadTypes[index].reserve(formats)
  }

  private mutating func agree(local: SessionDescription, remote: SessionDescription, _ media: [NegotiatedMedia]) {
    self.localDescription = local
    self.remoteDescription = remote
    self.negotiated = media
    for line in media {
      self.reserve([], at: line.index)
      self.payloadTypes[line.index].settle(line.receiveCodecs + line.receiveTelephoneEvents)
    }
    self.phase = .stable
  }
}

extension Set<String> {
  /// Puts in `wished`, or the first number that is not there where it is, and returns that.
  fileprivate mutating func insertUnlike(_ wished: String) -> String {
    var (name, number) = (wished, 0)
    while !self.insert(name).inserted {
      name = "\(number)"
      number += 1
    }
    return name
  }
}
