internal import CLimit
internal import SRTPEngine

/// The C program's side.
@safe final class LimitLegs {
  private let limit: OpaquePointer
  let ports: [UInt16]

  init(_ bench: BenchCase, target: UInt16) throws {
    let key = bench.key
    let opus = try BenchOpus().limit
    let started = unsafe key.withUnsafeBufferPointer { key in
      unsafe climit_start(
        climit_options(
          legs: UInt32(bench.legs), threads: UInt32(bench.threads), batch: UInt32(bench.batch),
          profile: bench.limitProfile, is_libsrtp2: bench.transform == .libsrtp2, key: key.baseAddress,
          key_length: key.count, sends: bench.direction == .send,
          target: target,
          is_opus: bench.codec == .opus, opus: opus))
    }
    guard let limit = unsafe started else { throw BenchFailure("the C program could not start") }
    unsafe self.limit = limit
    self.ports = (0..<UInt32(bench.legs)).map { unsafe climit_port(limit, $0) }
  }

  /// Makes the contexts of a leg, counted from 0.
  func addContexts(_ leg: Int) throws {
    guard unsafe climit_add_contexts(self.limit, UInt32(leg)) else {
      throw BenchFailure("the C program has no contexts")
    }
  }

  var cpu: Int { Int(unsafe climit_cpu(self.limit)) }

  var allocations: Allocations {
    var (own, srtp): (UInt64, UInt64) = (0, 0)
    unsafe climit_allocations(self.limit, &own, &srtp)
    return Allocations(own: Int(own), srtp: Int(srtp))
  }

  /// Ends the threads; returns the packets that they handled.
  func stop() -> Int {
    var (packets, heard): (UInt64, UInt64) = (0, 0)
    unsafe climit_stop(self.limit, &packets, &heard)
    return Int(packets)
  }
}

/// A socket of the bench's, which sends to the legs and forgets what they send.
@safe final class BenchSocket {
  private let descriptor: Int32
  let port: UInt16

  init() throws {
    var port: UInt16 = 0
    self.descriptor = unsafe climit_socket(&port)
    self.port = port
    guard self.descriptor >= 0 else { throw BenchFailure("no socket for the bench") }
  }

  deinit { climit_close(self.descriptor) }

  /// Sends `packet` to each port; returns how many were taken.
  func spread(_ packet: [UInt8], to ports: ArraySlice<UInt16>) -> Int {
    unsafe ports.withUnsafeBufferPointer { ports in
      unsafe packet.withUnsafeBufferPointer { packet in
        let sent = unsafe climit_spread(
          self.descriptor, packet.baseAddress, packet.count, ports.baseAddress, UInt32(ports.count))
        return Int(sent)
      }
    }
  }

  /// How many datagrams came since the last call.
  func drain() -> Int { Int(climit_drain(self.descriptor)) }
}
