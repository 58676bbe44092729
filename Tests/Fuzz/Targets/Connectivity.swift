import ICEAgent
import NetBase
import SDPCodec
import ice
import whip

/// What ICE is told: STUN messages, candidates, and bodies that bring some later.
enum Connectivity {
  private static let key = Array("a key that no input has".utf8)
  /// What a message may have, but for what signs it.
  private static let types = [
    STUNType.mappedAddress, STUNType.username, STUNType.errorCode, STUNType.unknownAttributes, STUNType.channelNumber,
    STUNType.lifetime, STUNType.xorPeerAddress, STUNType.dataValue, STUNType.realm, STUNType.nonce,
    STUNType.xorRelayedAddress, STUNType.requestedAddressFamily, STUNType.requestedTransport,
    STUNType.passwordAlgorithm, STUNType.userhash, STUNType.xorMappedAddress, STUNType.priority,
    STUNType.useCandidate, STUNType.passwordAlgorithms, STUNType.controlled, STUNType.controlling,
  ]
  /// Bytes that signing adds: integrity and fingerprint.
  private static let signature = 24 + 8
  /// Bytes of the longest message that is read.
  private static let longest = 2_048

  /// A message that was read is written and signed, and read again the same; with one byte changed, which the first
  /// three bytes say, it is not authentic any more.
  static func message(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let place = Int(reader.byte()) << 8 | Int(reader.byte())
    let change = reader.byte()
    let datagram = reader.rest()
    guard let message = datagram.withRawSpan({ STUNMessage($0) }) else { return }
    require(!message.isAuthentic(key: Self.key, crypto: .openSSL), "a forgery is authentic")
    _ = (message.errorCode, message.mappedAddress)
    var writer = STUNWriter(message.messageClass, method: message.method, id: message.id)
    for type in Self.types {
      _ = (message.address(type), message.uint32(type), message.uint64(type), message.text(type))
      if let value = message.value(type) { writer.add(type, Array(value)) }
    }
    guard datagram.count + Self.signature <= Self.longest else { return }
    writer.addIntegrity(key: Self.key, crypto: .openSSL)
    let protected = writer.bytes.count
    writer.addFingerprint()
    var written = writer.bytes
    guard let again = written.withRawSpan({ STUNMessage($0) }) else {
      return require(false, "a message that was read can't be read again")
    }
    require(
      again.hasFingerprint && again.isAuthentic(key: Self.key, crypto: .openSSL), "what was signed is not authentic")
    require(
      again.id == message.id && again.method == message.method && again.messageClass == message.messageClass,
      "a message that was read is written as another")
    for type in Self.types { require(again.value(type) == message.value(type), "attribute \(type) is another") }
    guard change != 0 else { return }
    written[place % protected] ^= change
    let changed = written.withRawSpan { STUNMessage($0) }
    require(changed?.isAuthentic(key: Self.key, crypto: .openSSL) != true, "what was changed is authentic")
  }

  static func candidate(_ bytes: [UInt8]) {
    let line = String(decoding: bytes, as: UTF8.self)
    if let named = NamedCandidate(line, of: "fragment") {
      require(named.name.utf8.count <= 63 + ".local".utf8.count, "a name of more than one label")
      let address = SocketAddress(ipv4: 0x0A00_0002, port: 0)
      require(named.candidate(at: address)?.address.isSameHost(as: address) != false, "a name is another address")
    }
    guard let candidate = try? ICECandidate(parsing: line) else { return }
    let again = try? ICECandidate(parsing: candidate.attributeValue)
    require(again == candidate, "a candidate that was read is written as another")
  }

  private static let offer = try? SessionDescription(
    parsing: [
      "v=0", "o=- 1 1 IN IP4 10.0.0.2", "s=-", "t=0 0", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", "a=mid:0",
      "a=ice-ufrag:peer", "a=ice-pwd:0123456789abcdefghijklmn", "a=candidate:1 1 UDP 1 10.0.0.2 4000 typ host",
      "m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=mid:1", "a=ice-ufrag:peer",
      "a=ice-pwd:0123456789abcdefghijklmn", "",
    ].joined(separator: "\r\n"))

  /// A body with candidates, as INFO brings it, and as PATCH does to the endpoint of WHIP.
  static func fragment(_ bytes: [UInt8]) {
    let fragment = CandidateFragment(parsing: bytes)
    let count = fragment.sections.reduce(0) { $0 + $1.candidates.count }
    require(count <= CandidateFragment.maximumCandidates, "more candidates than a body may have")
    let again = CandidateFragment(parsing: fragment.bytes)
    require(again.sections.map(Self.meaning) == fragment.sections.map(Self.meaning), "candidates are written as others")
    guard let offer = Self.offer else { return require(false, "the offer is none") }
    guard let change = ICEFragment(parsing: bytes), let merged = change.merged(into: offer) else { return }
    require(change.continues(merged), "what begins anew is not gone on with")
    require(
      merged.media.reduce(0) { $0 + $1.candidates.count } <= ICEFragment.maximumCandidates, "more than a session takes")
    guard merged.bytes.count <= SDPLimits.bytes else { return }
    require((try? SessionDescription(parsing: merged.bytes)) != nil, "an offer that was changed can't be read")
  }

  /// The word for the media is only repeated.
  private static func meaning(of section: CandidateFragment.Section) -> CandidateFragment.Section {
    var section = section
    section.media = ""
    return section
  }
}
