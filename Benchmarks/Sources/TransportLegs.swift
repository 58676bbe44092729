internal import AllModules
internal import CLimit
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SRTPEngine
internal import UACore

/// Our side: real transports on the executors that the receive mode gives them, with a bench's ends.
///
/// They call what the C program calls, our own transform's C part or libsrtp2, so that the ratio tells of the path about it;
/// `TransformBench` tells what our own saves.
final class TransportLegs {
  /// Where each leg receives.
  private(set) var ports: [UInt16] = []
  let audio = BenchAudio()
  private let main: EventLoop
  private let pool: LoopPool?
  private var handles: [TransportHandle] = []
  private var meters: [ThreadMeter] = []

  /// - Parameter added: called after each leg that was added, counted from 0.
  init(_ bench: BenchCase, peer: UInt16, added: (Int) throws -> Void) throws {
    self.main = EventLoop.start(name: "main")
    self.pool = bench.mode == .pool ? LoopPool(count: bench.threads, name: "rtp-pool") : nil
    let registry = try ModuleRegistry(
      available: allModules, active: ["udp", "g711", "opus"], settings: [:], programFacets: self.audio.facets)
    guard let datagrams = registry.datagrams,
      let codec = registry.codecs.first(where: { $0.encodingName == bench.codec.encodingName })
    else { throw BenchFailure("the modules udp, g711 and opus are missing") }
    let planner = StagePlanner(registry: registry, mode: bench.mode, policy: .lock, main: self.main)
    let loops = TransportLoops(main: self.main, pool: self.pool)
    let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
    let first = UInt64(Instant.now.nanoseconds / 1000)
    var allocator = PortAllocator(transport: datagrams, range: 10_000...59_998, typeOfService: 0, start: first)
    let negotiated = NegotiatedCodec(
      payloadType: bench.codec.payloadType, codec: codec,
      parameters: CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))
    let device = AudioDevice(driver: BenchAudio.driver, device: "")
    for number in 1...bench.legs {
      let stream = StreamID(number: UInt64(number))
      let plan = try planner.plan(
        source: device, player: device, format: codec.pcmFormat(negotiated.parameters), packetTime: 20, stream: stream
      ) { _ in }
      let opened = try allocator.open(on: loopback)
      self.ports.append(opened.address.port)
      let (loop, isOwn) = try loops.next(mode: bench.mode, stream: stream)
      let settings = TransportSettings(
        stream: stream, jitterBuffer: JitterBufferSettings(), receiveTimeout: 0, canonicalName: "bench",
        ssrc: UInt32(number), seed: UInt64(number),
        wallClockOffset: wallClockNanoseconds() - Instant.now.nanoseconds, loss: 0, srtpTransform: bench.transform)
      let handle = TransportHandle(on: loop, ownsLoop: isOwn, settings: settings, ports: opened) {}
      self.handles.append(handle)
      let sends = bench.direction == .send
      let audio = StreamSettings(
        canSend: sends, canReceive: !sends, sendCodec: negotiated, receiveCodecs: [negotiated], eventSendType: nil,
        eventReceiveTypes: PayloadTypeSet(), packetTime: 20, plan: plan)
      let agreed = MediaAgreement(
        remoteRTP: loopback.with(port: peer), remoteRTCP: nil, usesRTCPMux: true, audio: audio)
      var isPosted = handle.post(.configure(agreed))
      if let material = try bench.material() {
        let copy = material.duplicate()
        if !handle.post(.keying(.installInbound(copy, .fresh))) { isPosted = false }
        if !handle.post(.keying(.installOutbound(material, .fresh, switchNow: true))) { isPosted = false }
      } else if !handle.post(.keying(.plain)) {
        isPosted = false
      }
      guard isPosted else { throw BenchFailure("a transport did not take its commands") }
      try added(number - 1)
      // In phase all around, as calls that began at any time are.
      Pace.sleep(until: Instant.now.advanced(byNanoseconds: Int64(20_000_000 / bench.legs)))
    }
    try self.attachMeters(bench)
  }

  private func attachMeters(_ bench: BenchCase) throws {
    let loops =
      switch bench.mode {
      case .main: [self.main]
      case .pool: self.pool?.loops ?? []
      case .thread: self.handles.map(\.loop)
      }
    for (index, loop) in loops.enumerated() {
      let place = climit_place(UInt32(index), UInt32(bench.threads))
      _ = loop.sync { _ in climit_pin(Int32(place)) }
    }
    self.meters = loops.compactMap { ThreadMeter(of: $0) }
    guard self.meters.count == bench.threads else { throw BenchFailure("a loop has no meter") }
  }

  /// Nanoseconds of CPU time of all executors so far.
  var cpu: Int { self.meters.reduce(0) { $0 + $1.cpu } }

  var allocations: Allocations { self.meters.reduce(Allocations()) { $0 + $1.allocations } }

  /// Ends the transports; returns the sum of their figures.
  func stop() throws -> TransportStatistics {
    var sum = TransportStatistics()
    for handle in self.handles { _ = handle.post(.stop) }
    let deadline = Instant.now.advanced(byMilliseconds: 10_000)
    for handle in self.handles {
      var isClosed = false
      while !isClosed {
        guard let event = handle.nextEvent() else {
          guard Instant.now < deadline else { throw BenchFailure("a transport did not stop") }
          Pace.sleep(until: Instant.now.advanced(byMilliseconds: 1))
          continue
        }
        if case .closed(let statistics) = consume event {
          isClosed = true
          sum.sentPackets += statistics.sentPackets
          sum.receivedPackets += statistics.receivedPackets
          sum.lost += statistics.lost
          sum.playedFrames += statistics.playedFrames
          sum.drops.unknown += statistics.drops.total
        }
      }
      handle.release()
    }
    self.pool?.stop()
    self.main.stop()
    return sum
  }
}
