internal import COpenSSL
internal import Glibc

/// The BIO method shared by all associations of a certificate; immutable once made.
@safe final class MemoryBIOMethod: @unchecked Sendable {  // written by its initialiser only
  fileprivate let handle: OpaquePointer

  init() throws(LibraryError) {
    LibraryError.clear()
    guard let method = unsafe BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7F, "datagram queue") else {
      throw .drained("no BIO method")
    }
    unsafe self.handle = method
    unsafe BIO_meth_set_create(method) { bio in
      unsafe BIO_set_init(bio, 1)
      return 1
    }
    unsafe BIO_meth_set_destroy(method) { _ in 1 }
    unsafe BIO_meth_set_read(method) { bio, buffer, count in
      unsafe MemoryBIO.of(bio)?.read(buffer, Int(count), bio) ?? -1
    }
    unsafe BIO_meth_set_write(method) { bio, buffer, count in
      unsafe MemoryBIO.of(bio)?.write(buffer, Int(count)) ?? -1
    }
    unsafe BIO_meth_set_ctrl(method) { bio, command, number, pointer in
      unsafe MemoryBIO.of(bio)?.control(command, number, pointer) ?? 0
    }
  }

  deinit { unsafe BIO_meth_free(self.handle) }
}

/// What OpenSSL takes for a datagram socket: one datagram to read at a time, one per write in a queue.
///
/// OpenSSL 3.0 has no such BIO: its memory BIO is a byte stream, which loses the boundaries.
@safe final class MemoryBIO {
  /// Bytes of a datagram's payload; fits every path that carries IPv6, with a tunnel to spare.
  static let maximumDatagram = 1200
  /// Datagrams of a flight that may wait; a flight of ours has at most four.
  private static let maximumQueued = 32

  private let method: MemoryBIOMethod
  /// Owned by the SSL from `SSL_set_bio` on.
  let handle: OpaquePointer
  private var inbound: UnsafeRawBufferPointer?
  private var outbound: [[UInt8]] = []
  /// OpenSSL's own timer, where this version of it lets a BIO reach it.
  private var timer: UnsafeMutablePointer<timeval>?
  /// How often the timer was started.
  private(set) var timerStarts = 0
  private(set) var isTimerRunning = false

  init(_ method: MemoryBIOMethod) throws(LibraryError) {
    self.method = method
    unsafe self.inbound = nil
    unsafe self.timer = nil
    guard let bio = unsafe BIO_new(method.handle) else { throw .drained("no BIO") }
    unsafe self.handle = bio
    // The association keeps this object as long as the SSL that uses the BIO.
    unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Before OpenSSL 3.2 the BIO is told the address of the timer, later that of a copy.
  static let reachesTimer = OpenSSL_version_num() < 0x3020_0000

  /// Seconds since 1970, 35,000 years from now.
  private static let never = 1 << 40

  /// Makes OpenSSL believe that its timer ran out, whatever the wall clock says, where that is possible.
  func expireTimer() {
    guard Self.reachesTimer, self.isTimerRunning else { return }
    unsafe self.timer?.pointee = timeval(tv_sec: 1, tv_usec: 0)
  }

  /// Lets OpenSSL read `datagram`, once, while `body` runs.
  func reading<Result: ~Copyable>(_ datagram: RawSpan, _ body: () -> Result) -> Result {
    unsafe datagram.withUnsafeBytes { bytes in
      unsafe self.inbound = bytes
      defer { unsafe self.inbound = nil }
      return body()
    }
  }

  /// The next datagram that OpenSSL wrote.
  func nextDatagram() -> [UInt8]? { self.outbound.isEmpty ? nil : self.outbound.removeFirst() }

  /// Drops what was written.
  func discardOutbound() { self.outbound.removeAll() }

  fileprivate static func of(_ bio: OpaquePointer?) -> MemoryBIO? {
    guard let data = unsafe BIO_get_data(bio) else { return nil }
    // OpenSSL calls back only from within a call of the association's.
    return unsafe Unmanaged<MemoryBIO>.fromOpaque(data).takeUnretainedValue()
  }

  fileprivate func read(_ buffer: UnsafeMutablePointer<CChar>?, _ count: Int, _ bio: OpaquePointer?) -> Int32 {
    unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
    guard let datagram = unsafe self.inbound, let buffer = unsafe buffer else {
      unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      return -1
    }
    unsafe self.inbound = nil
    // As with a socket, what does not fit is lost.
    let length = min(count, datagram.count)
    if let start = datagram.baseAddress {
      unsafe UnsafeMutableRawPointer(buffer).copyMemory(from: start, byteCount: length)
    }
    return Int32(length)
  }

  fileprivate func write(_ buffer: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
    guard let buffer = unsafe buffer, count > 0 else { return 0 }
    if self.outbound.count < Self.maximumQueued {
      unsafe self.outbound.append(Array(UnsafeRawBufferPointer(start: buffer, count: count)))
    }
    return Int32(count)
  }

  fileprivate func control(_ command: Int32, _ number: Int, _ pointer: UnsafeMutableRawPointer?) -> Int {
    switch command {
    case BIO_CTRL_FLUSH: return 1
    case BIO_CTRL_DGRAM_QUERY_MTU, BIO_CTRL_DGRAM_GET_MTU, BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return Self.maximumDatagram
    case BIO_CTRL_DGRAM_SET_MTU: return number
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
      guard let pointer = unsafe pointer else { return 0 }
      let next = unsafe pointer.assumingMemoryBound(to: timeval.self)
      self.isTimerRunning = unsafe next.pointee.tv_sec != 0 || next.pointee.tv_usec != 0
      if self.isTimerRunning { self.timerStarts &+= 1 }
      if Self.reachesTimer {
        unsafe self.timer = next
        // No step of the wall clock gets there: only `expireTimer` makes the timer run out.
        if self.isTimerRunning { unsafe next.pointee.tv_sec = Self.never }
      }
      return 1
    default: return 0
    }
  }
}
