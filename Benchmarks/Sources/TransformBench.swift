internal import CAllocations
internal import CTransform
internal import Glibc
internal import NetBase
internal import SRTPEngine

/// What the transforms alone cost: one thread, 160 bytes of payload, packets that were never in a cache of keys.
struct TransformBench: Sendable {
  static let payload = 160
  private static let batch = 500
  private static let slot = 256
  /// Slices alternate between what is compared, so that what else the machine does meets all alike.
  private static let slices = 21

  let profile: SRTPProfile

  func measure() throws -> TransformFigures {
    var figures = TransformFigures(profile: self.profile)
    var (ours, theirs) = (self.clearPackets(Self.batch), self.clearPackets(Self.batch))
    var own = try Pair(self.material(), .openssl)
    var library = try Pair(self.material(), .libsrtp2)
    var samples = Samples()
    // The first fills caches and makes the streams.
    for slice in 0...Self.slices {
      let first = slice * Self.batch
      let before = unsafe callocations_read(callocations_here()).own
      let mine = try own.run(&ours, self.profile, Self.batch, first: first)
      let allocations = unsafe callocations_read(callocations_here()).own - before
      let reference = try library.run(&theirs, self.profile, Self.batch, first: first)
      let alone = try self.cipherAlone()
      guard slice > 0 else { continue }
      figures.allocations += Int(allocations)
      samples.add(mine, reference, alone)
    }
    figures.protect = samples.protect.median
    figures.unprotect = samples.unprotect.median
    figures.libraryProtect = samples.libraryProtect.median
    figures.libraryUnprotect = samples.libraryUnprotect.median
    figures.alone = samples.alone.median
    (figures.pairNanoseconds, figures.pairBytes) = try self.pairs()
    return figures
  }

  private struct Samples {
    var protect: [Double] = []
    var unprotect: [Double] = []
    var libraryProtect: [Double] = []
    var libraryUnprotect: [Double] = []
    var alone: [Double] = []

    mutating func add(
      _ own: (protect: Double, unprotect: Double), _ library: (protect: Double, unprotect: Double), _ alone: Double
    ) {
      self.protect.append(own.protect)
      self.unprotect.append(own.unprotect)
      self.libraryProtect.append(library.protect)
      self.libraryUnprotect.append(library.unprotect)
      self.alone.append(alone)
    }
  }

  /// Both contexts of one key.
  private struct Pair: ~Copyable {
    var outbound: OutboundSRTP
    var inbound: InboundSRTP

    init(_ material: consuming SRTPKeyMaterial, _ transform: SRTPTransform) throws {
      let outbound = try OutboundSRTP(material, transform: transform)
      let inbound = try InboundSRTP(material, transform: transform)
      self.outbound = outbound
      self.inbound = inbound
    }

    /// Nanoseconds for each packet.
    mutating func run(
      _ room: inout [UInt8], _ profile: SRTPProfile, _ count: Int, first: Int
    ) throws -> (protect: Double, unprotect: Double) {
      var failures = 0
      var span = room.mutableSpan
      var bytes = unsafe span.mutableBytes
      let clear = 12 + TransformBench.payload
      for number in 0..<count {
        var slot = TransformBench.slot(number, of: &bytes)
        slot.set(uint16: UInt16(truncatingIfNeeded: first + number), at: 2)
      }
      let began = threadNanoseconds()
      for number in 0..<count {
        var packet = Packet(storage: TransformBench.slot(number, of: &bytes), count: clear)
        if self.outbound.protect(rtp: &packet) != .ok { failures += 1 }
      }
      let between = threadNanoseconds()
      for number in 0..<count {
        var packet = Packet(storage: TransformBench.slot(number, of: &bytes), count: clear + profile.rtpTagLength)
        if self.inbound.unprotect(rtp: &packet) != .ok || packet.count != clear { failures += 1 }
      }
      let ended = threadNanoseconds()
      guard failures == 0 else { throw BenchFailure("\(failures) packets were refused") }
      return (Double(between - began) / Double(count), Double(ended - between) / Double(count))
    }
  }

  @_lifetime(&bytes)
  private static func slot(_ number: Int, of bytes: inout MutableRawSpan) -> MutableRawSpan {
    unsafe bytes._mutatingExtracting(unchecked: number * Self.slot..<(number + 1) * Self.slot)
  }

  private func clearPackets(_ count: Int) -> [UInt8] {
    var room = [UInt8](repeating: 0x55, count: count * Self.slot)
    for number in 0..<count {
      room[number * Self.slot] = 0x80
      for offset in 8..<12 { room[number * Self.slot + offset] = UInt8(offset) }
    }
    return room
  }

  private func material() throws -> SRTPKeyMaterial {
    let key = (0..<self.profile.keyAndSaltLength).map { UInt8($0 + 1) }
    return try SRTPKeyMaterial(profile: self.profile, keyAndSalt: key.withRawSpan { SecretBytes($0) })
  }

  /// The cipher calls without anything around them, from C's side: nanoseconds for each packet.
  private func cipherAlone() throws -> Double {
    let key = (0..<self.profile.keyAndSaltLength).map { UInt8($0 + 1) }
    let keyLength = self.profile.keyLength
    let made = unsafe key.withUnsafeBufferPointer { bytes in
      unsafe bytes.baseAddress.flatMap {
        unsafe ctransform_create($0, keyLength, $0 + keyLength, self.profile.isAEAD)
      }
    }
    guard let transform = unsafe made else { throw BenchFailure("libcrypto made no key") }
    defer { unsafe ctransform_destroy(transform) }
    var room = [UInt8](repeating: 0x55, count: Self.slot)
    return unsafe room.withUnsafeMutableBufferPointer { bytes in
      var packet = unsafe ctransform_packet(
        bytes: bytes.baseAddress, header: 12, payload: Self.payload, tag: self.profile.rtpTagLength, ssrc: 1,
        index: 0, is_rtcp: false)
      let began = threadNanoseconds()
      for index in 0..<UInt64(Self.batch) {
        unsafe packet.index = index
        _ = unsafe ctransform_seal(transform, &packet)
      }
      return Double(threadNanoseconds() - began) / Double(Self.batch)
    }
  }

  /// Nanoseconds to make and free a pair, and resident bytes of one through which a packet has gone.
  private func pairs() throws -> (Double, Double) {
    let count = 2000
    var kept: [PairBox] = []
    kept.reserveCapacity(count)
    callocations_trim()
    let before = LegMemory.resident
    for _ in 0..<count {
      let box = PairBox(try Pair(self.material(), .openssl))
      var room = self.clearPackets(1)
      _ = try box.pair.run(&room, self.profile, 1, first: 1)
      kept.append(box)
    }
    let bytes = Double((LegMemory.resident - before) * 1024) / Double(count)
    kept = []
    let began = threadNanoseconds()
    for _ in 0..<count { _ = try Pair(self.material(), .openssl) }
    return (Double(threadNanoseconds() - began) / Double(count), bytes)
  }

  /// An array holds no pair itself.
  private final class PairBox {
    var pair: Pair
    init(_ pair: consuming Pair) { self.pair = pair }
  }
}

/// What one profile costs.
struct TransformFigures: Sendable {
  let profile: SRTPProfile
  /// Nanoseconds for each packet; `alone` are those of the cipher calls from C.
  var protect = 0.0
  var unprotect = 0.0
  var libraryProtect = 0.0
  var libraryUnprotect = 0.0
  var alone = 0.0
  /// Of ours, in all packets.
  var allocations = 0
  var pairNanoseconds = 0.0
  var pairBytes = 0.0

  var ratio: Double { min(self.libraryProtect / self.protect, self.libraryUnprotect / self.unprotect) }

  func violations(judgesTime: Bool) -> [String] {
    let name = "transform \(self.profile.rawValue)"
    var violations: [String] = []
    if self.allocations > 0 { violations.append("\(name): \(self.allocations) allocations, none allowed") }
    if self.pairBytes > 6 * 1024 {
      violations.append("\(name): a pair has \(fixed(self.pairBytes, 0)) bytes, 6144 allowed")
    }
    guard judgesTime else { return violations }
    let slowest = max(self.protect, self.unprotect)
    if self.profile.keyLength == 16, slowest > 400 {
      violations.append("\(name): \(fixed(slowest, 0)) ns a packet, 400 allowed")
    }
    if self.profile == .aesCM128HMACSHA1Tag80, self.ratio < 6 {
      violations.append("\(name): \(fixed(self.ratio, 1)) x libsrtp2, at least 6 wanted")
    }
    if self.pairNanoseconds > 15_000 {
      violations.append("\(name): \(fixed(self.pairNanoseconds, 0)) ns to make and free a pair, 15000 allowed")
    }
    return violations
  }
}

extension [Double] {
  fileprivate var median: Double { self.sorted()[self.count / 2] }
}

private func threadNanoseconds() -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
