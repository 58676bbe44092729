internal import ICEAgent
internal import NetBase
internal import Runtime

/// Whose a datagram is that came to a socket of many: a table of what its members have claimed, and of what they were
/// seen to get. Knows no socket.
///
/// A check belongs to the member whose fragment it names, STUN's answer to the one that has asked. Everything else
/// goes by its source. Where several have claimed that, RTP and RTCP go by SSRC; where the one that has knows other
/// SSRCs, they go to the one whose peer was described with this one. What comes from a source that nobody has claimed
/// goes to the one member that knows its SSRC; else to the one whose peer was described at that host and was not heard
/// yet (symmetric RTP behind a NAT). The rest is nobody's.
///
/// An SSRC is known when the peer's description names it, or when a member that knew none was given a packet of it. A
/// description is believed before such a packet where its member has the same source: by the SSRC alone nothing is
/// taken from another.
///
/// One that nobody knows may be that of a call that is being set up, or has just ended: while a member waits for its
/// peer's description, it is taken for a new one of a known peer only when it has come for half a second; and that of a
/// member that has gone, not for half a minute, nor by a member that knows none for half a second.
struct DatagramRouting {
  private struct Member {
    // Each oldest first.
    var sources: [SocketAddress] = []
    var ssrcs: [KnownSSRC] = []
    var fragments: [String] = []
    /// Of requests that it has sent.
    var transactions: [STUNTransactionID] = []
    var hasHandshake = false
    /// Whether nothing says yet by what way its peer's datagrams come.
    var isWaiting = true
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
  /// What is kept of all together.
  static let maximumDoubts = 256
  static let maximumDeparted = 4_096
  /// How long what nobody knows may still be claimed: as long as it is kept for that.
  static let patience = ParkedPackets.lifetime
  /// The same where it comes from a peer who has named all that he sends under: then it is likely another call's.
  static let patienceWithNames = Duration.seconds(3)
  /// How long a peer may go on to send after its call.
  static let departure = Duration.seconds(30)
  /// How long a doubt is kept that nothing more has come for.
  static let doubtLifetime = Duration.seconds(30)

  private var members: [Member] = []
  private var free: [Int] = []
  private var sources: [SocketAddress: Claimants] = [:]
  private var ssrcs: [UInt32: [Int]] = [:]
  private var fragments: [String: Int] = [:]
  private var transactions: [STUNTransactionID: Int] = [:]
  /// Members that have not heard their peers yet, by the hosts at which these were described.
  private var silent: [SocketAddress: [Int]] = [:]
  /// How many members wait.
  private var waiting = 0
  /// What nobody knew: since when, and when it came last.
  private var doubts: [(source: SocketAddress, ssrc: UInt32?, since: Instant, last: Instant)] = []
  /// SSRCs of members that have gone, and when they went.
  private var departed: [UInt32: Instant] = [:]

  /// Whether there will be members that are not here yet.
  var isExpecting = false

  /// Whether a member waits for its peer's description, so that what is nobody's may be claimed soon.
  var isAwaited: Bool { self.waiting > 0 || self.isExpecting }

  /// How often something became known by which what was nobody's may be somebody's.
  private(set) var news = 0

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
    self.settle(member)
    for source in gone.sources {
      self.withdraw(source, of: member)
      self.unsilence(member, at: source)
    }
    if self.departed.count >= Self.maximumDeparted {
      self.departed = self.departed.filter { $0.value.advanced(by: Self.departure) > now }
    }
    for known in gone.ssrcs {
      self.disown(known.ssrc, member)
      if self.departed.count < Self.maximumDeparted { self.departed[known.ssrc] = now }
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
    case .formerSource(let source):
      // Without any it would be nobody's.
      guard let place = self.members[member].sources.firstIndex(of: source), self.members[member].sources.count > 1
      else { break }
      self.giveBack(place, of: member)
    case .elsewhere: self.settle(member)
    case .handshake(let source):
      let holder = self.sources[source]?.handshake
      if let holder, holder != member { return false }
      self.members[member].hasHandshake = true
      self.add(source, to: member)
      self.sources[source]?.handshake = member
      if holder == nil { self.news += 1 }
    case .ssrc(let ssrc): self.learn(ssrc, for: member, isDescribed: true)
    case .fragment(let fragment):
      if let holder = self.fragments[fragment] { return holder == member }
      self.news += 1
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
    self.settle(member)
    if self.members[member].sources.count == Self.maximumSources { self.giveBack(0, of: member) }
    self.news += 1
    self.members[member].sources.append(source)
    self.sources[source, default: Claimants()].members.append(member)
    if self.members[member].ssrcs.isEmpty { self.sources[source]?.unknowing += 1 }
    let host = source.with(port: 0)
    guard !self.members[member].isHeard, self.silent[host]?.contains(member) != true else { return }
    self.silent[host, default: []].append(member)
  }

  /// It is known by what way the member's datagrams come, or that none will.
  private mutating func settle(_ member: Int) {
    guard self.members[member].isWaiting else { return }
    self.members[member].isWaiting = false
    self.waiting -= 1
    self.news += 1
  }

  private mutating func giveBack(_ place: Int, of member: Int) {
    let source = self.members[member].sources.remove(at: place)
    self.withdraw(source, of: member)
    guard !self.members[member].sources.contains(where: { $0.with(port: 0) == source.with(port: 0) }) else { return }
    self.unsilence(member, at: source)
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

  private func isDescribed(_ ssrc: UInt32, _ member: Int) -> Bool {
    self.members[member].ssrcs.contains { $0.ssrc == ssrc && $0.isDescribed }
  }

  private mutating func learn(_ ssrc: UInt32, for member: Int, isDescribed: Bool = false) {
    if let place = self.members[member].ssrcs.firstIndex(where: { $0.ssrc == ssrc }) {
      guard isDescribed, !self.members[member].ssrcs[place].isDescribed else { return }
      self.members[member].ssrcs[place].isDescribed = true
      self.news += 1
      return
    }
    self.news += 1
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
        if let other = self.describedOwner(of: ssrc) { return other }
        // Whose description has what he sends under seldom changes it unannounced.
        let isNamed = self.members[member].ssrcs.contains { $0.isDescribed }
        let patience = isNamed ? Self.patienceWithNames : Self.patience
        guard self.isSettled(ssrc, from: source, after: patience, now: now) else { return nil }
      }
    } else {
      if let owner = self.claimant(of: ssrc, at: source) { return owner }
      guard claimants.unknowing == 1,
        let one = claimants.members.first(where: { self.members[$0].ssrcs.isEmpty })
      else { return self.describedOwner(of: ssrc) }
      member = one
    }
    // The last packets of a call that is over must not be the first of the next one from there.
    if self.members[member].ssrcs.isEmpty, let departure = self.departed[ssrc],
      now < departure.advanced(by: Self.patience)
    {
      return nil
    }
    self.learn(ssrc, for: member)
    return member
  }

  private func onlyOwner(of ssrc: UInt32) -> Int? {
    guard let owners = self.ssrcs[ssrc], owners.count == 1 else { return nil }
    return owners[0]
  }

  /// A peer that shares its own port may be behind a NAT, so that its other calls were described elsewhere. What a call
  /// was only seen to get says nothing: some report under an SSRC that is the same in every call.
  private func describedOwner(of ssrc: UInt32) -> Int? {
    guard let owner = self.onlyOwner(of: ssrc), self.isDescribed(ssrc, owner) else { return nil }
    return owner
  }

  /// The one that knows the SSRC, of those that have claimed `source`.
  private mutating func claimant(of ssrc: UInt32, at source: SocketAddress) -> Int? {
    let owners = self.ssrcs[ssrc] ?? []
    guard
      let owner = owners.first(where: { self.isDescribed(ssrc, $0) && self.members[$0].sources.contains(source) })
    else { return owners.first { self.members[$0].sources.contains(source) } }
    // Whose description has it knows better than who was given one packet.
    for other in owners where other != owner && self.members[other].sources.contains(source) {
      self.unlearn(ssrc, other)
    }
    return owner
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
    return member
  }

  /// Whether what nobody knows can be taken for that of a peer who is there.
  ///
  /// - Parameter ssrc: nil of DTLS.
  private mutating func isSettled(
    _ ssrc: UInt32?, from source: SocketAddress, after patience: Duration = Self.patience, now: Instant
  ) -> Bool {
    if let ssrc, let departure = self.departed[ssrc], now < departure.advanced(by: Self.departure) { return false }
    guard self.isAwaited else { return true }
    self.doubts.removeAll { $0.last.advanced(by: Self.doubtLifetime) < now }
    if let place = self.doubts.firstIndex(where: { $0.source == source && $0.ssrc == ssrc }) {
      self.doubts[place].last = now
      guard self.doubts[place].since.advanced(by: patience) <= now else { return false }
      self.doubts.remove(at: place)
      return true
    }
    if self.doubts.count == Self.maximumDoubts {
      // Who goes on to come keeps his place: else none would have waited long enough.
      guard let oldest = self.doubts.indices.min(by: { self.doubts[$0].last < self.doubts[$1].last }),
        self.doubts[oldest].last.advanced(by: Self.patience) <= now
      else { return false }
      self.doubts.remove(at: oldest)
    }
    self.doubts.append((source, ssrc, now, now))
    return false
  }
}
