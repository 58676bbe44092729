internal import ICEAgent
internal import NetBase
internal import Runtime

/// Whose a datagram is that came to a socket of many: a table of what its members have claimed, and of what they were
/// seen to get. Knows no socket.
///
/// A check belongs to the member whose fragment it names, STUN's answer to the one that has asked. Everything else
/// goes by its source. Where several have claimed that, or the one that has knows another SSRC, RTP and RTCP go by
/// SSRC. What comes from a source that nobody has claimed goes to the one member that knows its SSRC; else to the one
/// whose peer was described at that host and was not heard yet (symmetric RTP behind a NAT). The rest is nobody's.
///
/// An SSRC is known when the peer's description names it, or when a member that knew none was given a packet of it. One
/// that nobody knows may be that of a call that is being set up, or has just ended: while a member waits for its peer's
/// description, it is taken for a new one of a known peer only when it has come for half a second; and that of a member
/// that has gone, not for half a minute.
struct DatagramRouting {
  private struct Member {
    // Each oldest first.
    var sources: [SocketAddress] = []
    var ssrcs: [KnownSSRC] = []
    var fragments: [String] = []
    /// Of requests that it has sent.
    var transactions: [STUNTransactionID] = []
    var hasHandshake = false
    /// Whether anything but STUN has come for it.
    var isHeard = false
  }

  private struct KnownSSRC {
    let ssrc: UInt32
    var isDescribed: Bool
  }

  /// Who has claimed one address.
  private struct Claimants {
    var members: [Int] = []
    /// How many of them know no SSRC.
    var unknowing = 0
    /// Who has the DTLS association with it.
    var handshake: Int?
  }

  /// What is kept of a member, each at most; then the oldest is forgotten.
  static let maximumSources = 32
  static let maximumSSRCs = 16
  static let maximumFragments = 32
  static let maximumTransactions = 64
  static let maximumDoubts = 16
  static let maximumDeparted = 4_096
  /// How long what nobody knows may still be claimed: as long as it is kept for that.
  static let patience = ParkedPackets.lifetime
  /// How long a peer may go on to send after its call.
  static let departure = Duration.seconds(30)

  private var members: [Member] = []
  private var free: [Int] = []
  private var sources: [SocketAddress: Claimants] = [:]
  private var ssrcs: [UInt32: [Int]] = [:]
  private var fragments: [String: Int] = [:]
  private var transactions: [STUNTransactionID: Int] = [:]
  /// Members that have not heard their peers yet, by the hosts at which these were described.
  private var silent: [SocketAddress: [Int]] = [:]
  /// How many members have claimed no source.
  private var waiting = 0
  /// What nobody knew, and since when.
  private var doubts: [(source: SocketAddress, ssrc: UInt32?, since: Instant)] = []
  /// SSRCs of members that have gone, and until when that counts.
  private var departed: [UInt32: Instant] = [:]

  /// Whether a member waits for its peer's description, so that what is nobody's may be claimed soon.
  var isAwaited: Bool { self.waiting > 0 }

  // MARK: Members

  mutating func add() -> Int {
    self.waiting += 1
    if let place = self.free.popLast() { return place }
    self.members.append(Member())
    return self.members.count - 1
  }

  /// Its number may be another's from now on.
  mutating func remove(_ member: Int, now: Instant) {
    let gone = self.members[member]
    if gone.sources.isEmpty { self.waiting -= 1 }
    for source in gone.sources {
      self.withdraw(source, of: member)
      self.unsilence(member, at: source)
    }
    if self.departed.count >= Self.maximumDeparted { self.departed = self.departed.filter { $0.value > now } }
    for known in gone.ssrcs {
      self.disown(known.ssrc, member)
      if self.departed.count < Self.maximumDeparted { self.departed[known.ssrc] = now.advanced(by: Self.departure) }
    }
    for fragment in gone.fragments { self.fragments[fragment] = nil }
    for transaction in gone.transactions { self.transactions[transaction] = nil }
    self.members[member] = Member()
    self.free.append(member)
  }

  // MARK: Claims

  /// - Returns: false where the claim is another member's.
  mutating func claim(_ claim: DatagramClaim, for member: Int) -> Bool {
    switch claim {
    case .source(let source): self.add(source, to: member)
    case .handshake(let source):
      if let holder = self.sources[source]?.handshake, holder != member { return false }
      self.members[member].hasHandshake = true
      self.add(source, to: member)
      self.sources[source]?.handshake = member
    case .ssrc(let ssrc):
      // Whose description has it knows better than who was given one packet.
      for other in self.ssrcs[ssrc] ?? [] where other != member { self.unlearn(ssrc, other) }
      self.learn(ssrc, for: member, isDescribed: true)
    case .fragment(let fragment):
      if let holder = self.fragments[fragment] { return holder == member }
      self.fragments[fragment] = member
      self.members[member].fragments.append(fragment)
      if self.members[member].fragments.count > Self.maximumFragments {
        self.fragments[self.members[member].fragments.removeFirst()] = nil
      }
    }
    return true
  }

  /// A request of the member's was sent.
  mutating func expectAnswer(_ transaction: STUNTransactionID, for member: Int) {
    guard self.transactions.updateValue(member, forKey: transaction) == nil else { return }
    self.members[member].transactions.append(transaction)
    if self.members[member].transactions.count > Self.maximumTransactions {
      self.transactions[self.members[member].transactions.removeFirst()] = nil
    }
  }

  private mutating func add(_ source: SocketAddress, to member: Int) {
    // Nothing comes from what stands for no address: of a call on hold, or one whose candidates follow.
    guard !source.isUnspecified, source.port != 0, !self.members[member].sources.contains(source) else { return }
    if self.members[member].sources.isEmpty { self.waiting -= 1 }
    if self.members[member].sources.count == Self.maximumSources {
      let oldest = self.members[member].sources.removeFirst()
      self.withdraw(oldest, of: member)
      if !self.members[member].sources.contains(where: { $0.with(port: 0) == oldest.with(port: 0) }) {
        self.unsilence(member, at: oldest)
      }
    }
    self.members[member].sources.append(source)
    self.sources[source, default: Claimants()].members.append(member)
    if self.members[member].ssrcs.isEmpty { self.sources[source]?.unknowing += 1 }
    let host = source.with(port: 0)
    guard !self.members[member].isHeard, self.silent[host]?.contains(member) != true else { return }
    self.silent[host, default: []].append(member)
  }

  private mutating func withdraw(_ source: SocketAddress, of member: Int) {
    self.sources[source]?.members.removeAll { $0 == member }
    if self.sources[source]?.handshake == member { self.sources[source]?.handshake = nil }
    if self.members[member].ssrcs.isEmpty { self.sources[source]?.unknowing -= 1 }
    if self.sources[source]?.members.isEmpty == true { self.sources[source] = nil }
  }

  private mutating func unsilence(_ member: Int, at source: SocketAddress) {
    let host = source.with(port: 0)
    self.silent[host]?.removeAll { $0 == member }
    if self.silent[host]?.isEmpty == true { self.silent[host] = nil }
  }

  // MARK: SSRCs

  private func knows(_ ssrc: UInt32, _ member: Int) -> Bool {
    self.members[member].ssrcs.contains { $0.ssrc == ssrc }
  }

  private mutating func learn(_ ssrc: UInt32, for member: Int, isDescribed: Bool = false) {
    if let place = self.members[member].ssrcs.firstIndex(where: { $0.ssrc == ssrc }) {
      if isDescribed { self.members[member].ssrcs[place].isDescribed = true }
      return
    }
    if self.members[member].ssrcs.isEmpty {
      for source in self.members[member].sources { self.sources[source]?.unknowing -= 1 }
    }
    if self.members[member].ssrcs.count == Self.maximumSSRCs {
      let oldest = self.members[member].ssrcs.firstIndex { !$0.isDescribed } ?? 0
      self.disown(self.members[member].ssrcs.remove(at: oldest).ssrc, member)
    }
    self.members[member].ssrcs.append(KnownSSRC(ssrc: ssrc, isDescribed: isDescribed))
    self.ssrcs[ssrc, default: []].append(member)
  }

  /// What was only seen to come for the member is another's.
  private mutating func unlearn(_ ssrc: UInt32, _ member: Int) {
    guard let place = self.members[member].ssrcs.firstIndex(where: { $0.ssrc == ssrc }),
      !self.members[member].ssrcs[place].isDescribed
    else { return }
    self.members[member].ssrcs.remove(at: place)
    self.disown(ssrc, member)
    guard self.members[member].ssrcs.isEmpty else { return }
    for source in self.members[member].sources { self.sources[source]?.unknowing += 1 }
  }

  private mutating func disown(_ ssrc: UInt32, _ member: Int) {
    self.ssrcs[ssrc]?.removeAll { $0 == member }
    if self.ssrcs[ssrc]?.isEmpty == true { self.ssrcs[ssrc] = nil }
  }

  // MARK: Datagrams

  /// The member that a datagram is for; nil where it is nobody's, as far as is known now.
  mutating func route(_ bytes: RawSpan, from source: SocketAddress, now: Instant) -> Int? {
    let member: Int?
    switch PacketClass(bytes) {
    case .stun: return self.correspondent(bytes, from: source)
    case .rtp where bytes.byteCount >= 12: member = self.owner(of: bytes.uint32(at: 8), from: source, now: now)
    case .rtcp where bytes.byteCount >= 8: member = self.owner(of: bytes.uint32(at: 4), from: source, now: now)
    case .dtls: member = self.holder(of: source, now: now)
    case .rtp, .rtcp, .turnChannel, .unknown: member = self.only(at: source)
    }
    if let member, !self.members[member].isHeard {
      self.members[member].isHeard = true
      for source in self.members[member].sources { self.unsilence(member, at: source) }
    }
    return member
  }

  private func correspondent(_ bytes: RawSpan, from source: SocketAddress) -> Int? {
    guard let message = STUNMessage(bytes) else { return nil }
    switch message.messageClass {
    case .request:
      // Ours comes first (RFC 8445 §7.2.2).
      return message.text(STUNType.username).flatMap { self.fragments[String($0.prefix { $0 != ":" })] }
    case .success, .failure: return self.transactions[message.id]
    case .indication: return self.only(at: source)
    }
  }

  private func only(at source: SocketAddress) -> Int? {
    guard let claimants = self.sources[source], claimants.members.count == 1 else { return nil }
    return claimants.members[0]
  }

  private mutating func owner(of ssrc: UInt32, from source: SocketAddress, now: Instant) -> Int? {
    guard let claimants = self.sources[source] else {
      if let owner = self.onlyOwner(of: ssrc) { return owner }
      guard let member = self.silentMember(at: source, ssrc, now: now) else { return nil }
      self.learn(ssrc, for: member)
      return member
    }
    let member: Int
    if claimants.members.count == 1 {
      member = claimants.members[0]
      if self.knows(ssrc, member) { return member }
      if !self.members[member].ssrcs.isEmpty {
        // A peer that shares its own port may be behind a NAT, so that its other calls were described elsewhere.
        if let other = self.onlyOwner(of: ssrc) { return other }
        guard self.isSettled(ssrc, from: source, now: now) else { return nil }
      }
    } else {
      if let owner = self.ssrcs[ssrc]?.first(where: { self.members[$0].sources.contains(source) }) { return owner }
      guard claimants.unknowing == 1,
        let one = claimants.members.first(where: { self.members[$0].ssrcs.isEmpty })
      else { return self.onlyOwner(of: ssrc) }
      member = one
    }
    self.learn(ssrc, for: member)
    return member
  }

  private func onlyOwner(of ssrc: UInt32) -> Int? {
    guard let owners = self.ssrcs[ssrc], owners.count == 1 else { return nil }
    return owners[0]
  }

  /// Whose DTLS association is with `source`, or is about to be.
  private mutating func holder(of source: SocketAddress, now: Instant) -> Int? {
    guard let claimants = self.sources[source] else { return self.silentMember(at: source, nil, now: now) }
    if let holder = claimants.handshake { return holder }
    if claimants.members.count == 1, !self.isAwaited { return claimants.members[0] }
    let holders = claimants.members.filter { self.members[$0].hasHandshake }
    return holders.count == 1 ? holders[0] : nil
  }

  /// The one member whose peer was described at the host of `source` and was not heard: it is there from now on.
  private mutating func silentMember(at source: SocketAddress, _ ssrc: UInt32?, now: Instant) -> Int? {
    guard let members = self.silent[source.with(port: 0)], members.count == 1 else { return nil }
    let member = members[0]
    // Described with another SSRC, it is another's.
    guard ssrc == nil || self.members[member].ssrcs.isEmpty, self.isSettled(ssrc, from: source, now: now) else {
      return nil
    }
    self.add(source, to: member)
    if self.members[member].hasHandshake { self.sources[source]?.handshake = member }
    return member
  }

  /// Whether what nobody knows can be taken for that of a peer who is there.
  ///
  /// - Parameter ssrc: nil of DTLS.
  private mutating func isSettled(_ ssrc: UInt32?, from source: SocketAddress, now: Instant) -> Bool {
    if let ssrc, let end = self.departed[ssrc], now < end { return false }
    guard self.isAwaited else { return true }
    if let doubt = self.doubts.first(where: { $0.source == source && $0.ssrc == ssrc }) {
      return doubt.since.advanced(by: Self.patience) <= now
    }
    if self.doubts.count == Self.maximumDoubts { self.doubts.removeFirst() }
    self.doubts.append((source, ssrc, now))
    return false
  }
}
