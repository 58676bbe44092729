import Handoff
import NetBase
import Runtime
import TestSupport

/// What crossed a simulated network: a digest of all of it, and what must never be seen there.
final class WireTrace: Sendable {
  /// One datagram as it was sent.
  struct Entry: Equatable, Sendable {
    let time: Int64
    let source: SocketAddress
    let destination: SocketAddress
    let bytes: [UInt8]
  }

  private struct State {
    var entries: [Entry] = []
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    var plain: [String] = []
    /// Whose media must not be plain.
    var mandatory: Set<SocketAddress> = []
    /// Until when all media is lost, and all SIP; nanoseconds.
    var cuts: (media: Int64, signalling: Int64) = (0, 0)
    var media: [SocketAddress: MediaCount] = [:]
    /// The last addresses that RTP took, by the host that it went to.
    var flows: [SocketAddress: (source: SocketAddress, destination: SocketAddress)] = [:]
  }

  /// What one host sent, and the network was asked to carry.
  struct MediaCount: Sendable {
    var datagrams = 0
    /// RTP packets with PCMU in them.
    var audio = 0
    var events = 0
    var reports = 0
    /// When the last RTP packet left; nanoseconds, nil before the first.
    var lastRTP: Int64?
  }

  private let state = Locked(State())
  private let keepsEntries: Bool

  /// - Parameter keepsEntries: whether all datagrams are kept, to be compared one by one.
  init(_ network: SimulatedNetwork, clock: VirtualClockReader, keepsEntries: Bool, mandatory: [SocketAddress]) {
    self.keepsEntries = keepsEntries
    self.state.withLock { $0.mandatory = Set(mandatory.map { $0.with(port: 0) }) }
    network.tap { [weak self] datagram in self?.see(datagram, at: clock.nanoseconds) ?? true }
  }

  var entries: [Entry] { self.state.withLock { $0.entries } }
  var digest: UInt64 { self.state.withLock { $0.digest } }
  /// Packets in the clear whose sender must encrypt.
  var plain: [String] { self.state.withLock { $0.plain } }

  func media(from host: SocketAddress) -> MediaCount {
    self.state.withLock { $0.media[host.with(port: 0)] ?? MediaCount() }
  }

  /// The addresses between which RTP went to a host last.
  func flow(to host: SocketAddress) -> (source: SocketAddress, destination: SocketAddress)? {
    self.state.withLock { $0.flows[host.with(port: 0)] }
  }

  /// All media is lost until `end`, and all SIP too where that is asked for.
  func cut(until end: Int64, signalling: Bool) {
    self.state.withLock { state in
      state.cuts.media = max(state.cuts.media, end)
      if signalling { state.cuts.signalling = max(state.cuts.signalling, end) }
    }
  }

  private func see(_ datagram: Datagram, at time: Int64) -> Bool {
    self.state.withLock { state in
      state.digest = Self.hash(datagram, time, state.digest)
      if self.keepsEntries {
        state.entries.append(
          Entry(
            time: time, source: datagram.source, destination: datagram.destination, bytes: datagram.bytes))
      }
      guard !datagram.isSignalling else { return time >= state.cuts.signalling }
      let host = datagram.source.with(port: 0)
      state.media[host, default: MediaCount()].datagrams += 1
      switch datagram.bytes.withRawSpan({ PacketClass($0) }) {
      case .rtp:
        state.flows[datagram.destination.with(port: 0)] = (datagram.source, datagram.destination)
        state.media[host, default: MediaCount()].lastRTP = time
        let isEvent = datagram.bytes[1] & 0x7F == 101
        if isEvent {
          state.media[host, default: MediaCount()].events += 1
        } else {
          state.media[host, default: MediaCount()].audio += 1
        }
        if state.mandatory.contains(host), Self.isPlain(rtp: datagram.bytes, isEvent: isEvent) {
          state.plain.append("RTP at \(time) from \(datagram.source)")
        }
      case .rtcp:
        state.media[host, default: MediaCount()].reports += 1
        if state.mandatory.contains(host), Self.isPlain(rtcp: datagram.bytes) {
          state.plain.append("RTCP at \(time) from \(datagram.source)")
        }
      case .dtls, .stun, .turnChannel, .unknown: break
      }
      return time >= state.cuts.media
    }
  }

  /// A packet of ours without tag, or one that carries the source's noise or a readable event.
  private static func isPlain(rtp bytes: [UInt8], isEvent: Bool) -> Bool {
    let header = 12
    if isEvent { return bytes.count == header + 4 }
    // Packets of another length have none of it: a turned bit in a description can ask for them.
    guard bytes.count > header + HeardAudio.block else { return bytes.count == header + HeardAudio.block }
    return (try? ExpectedAudio.isNoise(Array(bytes[header..<header + 8]))) ?? true
  }

  /// Our reports carry a name; encrypted, nobody reads it.
  private static func isPlain(rtcp bytes: [UInt8]) -> Bool {
    let name = Array("apus-".utf8)
    guard bytes.count > name.count else { return true }
    return (0...bytes.count - name.count).contains { start in
      bytes[start] == name[0] && bytes[start..<start + name.count].elementsEqual(name)
    }
  }

  private static func hash(_ datagram: Datagram, _ time: Int64, _ start: UInt64) -> UInt64 {
    var digest = start
    func mix(_ value: UInt64) {
      digest = (digest ^ value) &* 0x100_0000_01B3
      digest ^= digest >> 29
    }
    mix(UInt64(bitPattern: time))
    mix(UInt64(datagram.source.port) << 16 | UInt64(datagram.destination.port))
    for byte in datagram.bytes { mix(UInt64(byte)) }
    return digest
  }
}

/// Reads a simulation's clock from anywhere.
struct VirtualClockReader: Sendable {
  private let read: @Sendable () -> Int64
  init(_ simulation: Simulation) {
    let clock = simulation.clock
    self.read = { clock.now.nanoseconds }
  }
  var nanoseconds: Int64 { self.read() }
}
