internal import COpenSSL
internal import Glibc
internal import ModuleKit
internal import NetBase
internal import SRTPEngine

/// Which end of a handshake this is.
package enum AssociationRole: Sendable { case client, server }

/// Why an association ended before it was secured.
package enum AssociationError: Error, Hashable, Sendable {
  /// The peer refused, with an alert.
  case refusedByPeer(String)
  /// The peer's certificate has none of the fingerprints of its description.
  case wrongCertificate
  /// No profile of use_srtp in common (RFC 5764 §4.1.1).
  case noProfile
  /// More bytes than a handshake needs.
  case tooManyBytes
  /// OpenSSL gave up.
  case library(LibraryError)
}

/// What came of a call.
enum AssociationOutcome: ~Copyable {
  case nothing
  /// The handshake is complete and the peer's certificate the right one; once per association.
  case secured(AssociationKeys)
  /// The peer said good-bye after the handshake.
  case closed
  case failed(AssociationError)
}

/// One DTLS association (RFC 6347): an SSL over a queue of datagrams, told the time.
///
/// `confined`: whoever calls it first owns it. After each call the owner takes the datagrams until nil.
@safe final class Association {
  private enum Phase { case handshaking, secured, closed, failed }

  /// Bytes of handshake that are accepted; a flight with a certificate chain has about 4,000.
  static let maximumHandshakeBytes = 64 * 1024
  /// How long the first retransmission waits; each one doubles it, up to `maximumInterval`.
  static let firstInterval: Int64 = 100
  static let maximumInterval: Int64 = 4000

  let role: AssociationRole
  /// Keeps the context and the BIO method alive.
  private let certificate: Certificate
  private let bio: MemoryBIO
  private let ssl: OpaquePointer
  private let expected: [KeyExchangeRemote.Fingerprint]
  /// What a client must echo (RFC 6347 §4.2.1).
  let cookie: [UInt8]
  private var phase = Phase.handshaking
  private var bytes = 0
  private var attempt = 0
  private var isCertificateWrong = false
  private var stamp = OwnerStamp("a DTLS association")
  /// Whether the peer has sent anything.
  var hasHeard: Bool { self.bytes > 0 }
  /// When `timeout` wants to be called.
  private(set) var nextDeadline: Instant?
  private(set) var retransmissions = 0
  /// Whether the client has echoed our cookie, so its address is no forgery.
  private(set) var isAddressProven = false

  /// - Parameters:
  ///   - fingerprints: one of these must be the peer's certificate's.
  ///   - cookie: what a server asks a client to echo before it does any work; empty for a server that does not ask.
  init(
    _ role: AssociationRole, certificate: Certificate, fingerprints: [KeyExchangeRemote.Fingerprint],
    cookie: [UInt8] = []
  ) throws(LibraryError) {
    LibraryError.clear()
    self.role = role
    self.certificate = certificate
    self.expected = fingerprints
    self.cookie = cookie
    guard let ssl = unsafe SSL_new(certificate.context) else { throw .drained("no DTLS association") }
    unsafe self.ssl = ssl
    do throws(LibraryError) {
      self.bio = try MemoryBIO(certificate.method)
    } catch {
      unsafe SSL_free(ssl)
      throw error
    }
    unsafe SSL_set_bio(ssl, self.bio.handle, self.bio.handle)
    // The association owns the SSL and frees it in its own deinit: the pointer never outlives what it names.
    unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    unsafe SSL_ctrl(ssl, SSL_CTRL_SET_MTU, MemoryBIO.maximumDatagram, nil)
    unsafe DTLS_set_timer_cb(ssl) { ssl, previous in
      unsafe Association.of(ssl)?.timerInterval(after: previous) ?? 1_000_000
    }
    switch role {
    case .client: unsafe SSL_set_connect_state(ssl)
    case .server:
      unsafe SSL_set_accept_state(ssl)
      if !cookie.isEmpty { unsafe SSL_set_options(ssl, Certificate.Option.cookieExchange) }
    }
  }

  deinit {
    self.stamp.touch()
    unsafe SSL_free(self.ssl)
  }

  /// A cookie that can't be guessed.
  static func makeCookie() throws(LibraryError) -> [UInt8] {
    LibraryError.clear()
    var cookie = [UInt8](repeating: 0, count: 16)
    guard unsafe RAND_bytes(&cookie, 16) == 1 else { throw .drained("no random bytes") }
    return cookie
  }

  /// Writes a client's first flight.
  func start(now: Instant) -> AssociationOutcome { self.call(now) { self.handshake() } }

  /// Takes one datagram.
  func feed(_ datagram: RawSpan, now: Instant) -> AssociationOutcome {
    switch self.phase {
    case .closed, .failed: return .nothing
    case .handshaking:
      self.bytes += datagram.byteCount
      guard self.bytes <= Self.maximumHandshakeBytes else { return self.fail(.tooManyBytes) }
      return self.call(now) { self.bio.reading(datagram) { self.handshake() } }
    case .secured:
      return self.call(now) { self.bio.reading(datagram) { self.readAfterHandshake() } }
    }
  }

  /// Sends the last flight again, once `nextDeadline` has come.
  func timeout(now: Instant) -> AssociationOutcome {
    guard let deadline = self.nextDeadline, deadline <= now else { return .nothing }
    return self.call(now) {
      self.bio.expireTimer()
      let starts = self.bio.timerStarts
      let result = unsafe SSL_ctrl(self.ssl, DTLS_CTRL_HANDLE_TIMEOUT, 0, nil)
      if result < 0, case .handshaking = self.phase { return self.fail(self.reason("no answer")) }
      // A library that looks at the wall clock only may find it too early.
      if self.bio.timerStarts == starts, self.bio.isTimerRunning {
        self.nextDeadline = now.advanced(byMilliseconds: 20)
      }
      return .nothing
    }
  }

  /// Says good-bye; nothing is heard from then on.
  func close(now: Instant) {
    guard case .secured = self.phase else { return }
    _ = self.call(now) {
      unsafe SSL_shutdown(self.ssl)
      self.phase = .closed
      return .nothing
    }
  }

  /// The next datagram for the peer, until nil.
  func nextDatagram() -> [UInt8]? { self.bio.nextDatagram() }

  /// For example `DTLSv1.2`.
  var version: String {
    self.stamp.touch()
    return unsafe SSL_get_version(self.ssl).map { unsafe String(cString: $0) } ?? "DTLS"
  }

  /// Where the handshake stands, in OpenSSL's words.
  var stateDescription: String {
    self.stamp.touch()
    return unsafe String(cString: SSL_state_string_long(self.ssl))
  }

  // MARK: One call into the library

  private func call(_ now: Instant, _ body: () -> AssociationOutcome) -> AssociationOutcome {
    self.stamp.touch()
    LibraryError.clear()
    let starts = self.bio.timerStarts
    // Between two calls an association that has nothing to send again is without its record buffers: 34 KiB.
    if self.isOver { _ = unsafe SSL_alloc_buffers(self.ssl) }
    let outcome = body()
    if self.isOver { _ = unsafe SSL_free_buffers(self.ssl) }
    if !self.bio.isTimerRunning || self.isOver {
      self.nextDeadline = nil
    } else if self.bio.timerStarts != starts {
      self.nextDeadline = now.advanced(byMilliseconds: self.interval)
    }
    return outcome
  }

  private var isOver: Bool {
    switch self.phase {
    case .handshaking: false
    case .secured, .closed, .failed: true
    }
  }

  private func handshake() -> AssociationOutcome {
    let result = unsafe SSL_do_handshake(self.ssl)
    if result == 1 { return self.complete() }
    switch unsafe SSL_get_error(self.ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .nothing
    default: return self.fail(self.isCertificateWrong ? .wrongCertificate : self.reason("handshake"))
    }
  }

  /// The fingerprint is looked at again before the keys are exported, though the handshake fails without it.
  private func complete() -> AssociationOutcome {
    guard let peer = unsafe SSL_get0_peer_certificate(self.ssl), unsafe self.accepts(peer) else {
      self.bio.discardOutbound()
      return self.fail(.wrongCertificate)
    }
    guard let selected = unsafe SSL_get_selected_srtp_profile(self.ssl),
      let profile = unsafe SRTPProfile(dtlsIdentifier: UInt16(truncatingIfNeeded: selected.pointee.id))
    else {
      self.bio.discardOutbound()
      return self.fail(.noProfile)
    }
    do throws(LibraryError) {
      let keys = try unsafe AssociationKeys(exportedFrom: self.ssl, profile, self.role)
      self.phase = .secured
      return .secured(keys)
    } catch {
      self.bio.discardOutbound()
      return self.fail(.library(error))
    }
  }

  /// Alerts, and a flight that the peer repeats because our last one was lost: OpenSSL answers it by itself.
  private func readAfterHandshake() -> AssociationOutcome {
    unsafe withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 1) { room in
      // Application data has no use here; a datagram has few records.
      for _ in 0..<16 {
        let result = unsafe SSL_read(self.ssl, room.baseAddress, Int32(room.count))
        if result > 0 { continue }
        switch unsafe SSL_get_error(self.ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .nothing
        default:
          // A close-notify or a fatal alert, both authenticated; or the library gave up. The keys stay with the transport.
          self.phase = .closed
          LibraryError.clear()
          return .closed
        }
      }
      return .nothing
    }
  }

  private func fail(_ error: AssociationError) -> AssociationOutcome {
    self.phase = .failed
    self.nextDeadline = nil
    return .failed(error)
  }

  private func reason(_ attempt: String) -> AssociationError {
    let error = LibraryError.drained(attempt)
    if let alert = error.alert { return .refusedByPeer(alert) }
    return .library(error)
  }

  private var interval: Int64 {
    min(Self.firstInterval << Int64(min(self.attempt, 10)), Self.maximumInterval)
  }
}

// MARK: What OpenSSL asks of us

extension Association {
  /// Sets what all associations of a context share.
  static func setCallbacks(of context: OpaquePointer) {
    unsafe SSL_CTX_set_cert_verify_callback(
      context,
      { store, _ in
        let index = SSL_get_ex_data_X509_STORE_CTX_idx()
        guard let ssl = unsafe X509_STORE_CTX_get_ex_data(store, index),
          let association = unsafe Association.of(OpaquePointer(ssl)),
          let peer = unsafe X509_STORE_CTX_get0_cert(store), unsafe association.verify(peer)
        else {
          unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
          return 0
        }
        unsafe X509_STORE_CTX_set_error(store, X509_V_OK)
        return 1
      }, nil)
    unsafe SSL_CTX_set_cookie_generate_cb(context) { ssl, cookie, count in
      guard let association = unsafe Association.of(ssl), let cookie = unsafe cookie else { return 0 }
      for (offset, byte) in association.cookie.enumerated() { unsafe cookie[offset] = byte }
      unsafe count?.pointee = UInt32(association.cookie.count)
      return 1
    }
    unsafe SSL_CTX_set_cookie_verify_cb(context) { ssl, cookie, count in
      guard let association = unsafe Association.of(ssl), Int(count) == association.cookie.count,
        unsafe CRYPTO_memcmp(cookie, association.cookie, association.cookie.count) == 0
      else { return 0 }
      association.isAddressProven = true
      return 1
    }
  }

  fileprivate static func of(_ ssl: OpaquePointer?) -> Association? {
    guard let data = unsafe SSL_get_ex_data(ssl, 0) else { return nil }
    // OpenSSL calls back only from within a call of the association's.
    return unsafe Unmanaged<Association>.fromOpaque(data).takeUnretainedValue()
  }

  /// The handshake ends with an alert when this is false, before anything is derived from it.
  private func verify(_ peer: OpaquePointer) -> Bool {
    self.isCertificateWrong = unsafe !self.accepts(peer)
    return !self.isCertificateWrong
  }

  private func accepts(_ peer: OpaquePointer) -> Bool {
    self.expected.contains { unsafe $0.matches(peer) }
  }

  /// - Parameter previous: 0 for the first time that a flight is sent, else the microseconds that it waited.
  private func timerInterval(after previous: UInt32) -> UInt32 {
    if previous == 0 {
      self.attempt = 0
    } else {
      self.attempt += 1
      self.retransmissions += 1
    }
    // Where `expireTimer` works the wall clock must have no say, else it must agree with our schedule.
    return MemoryBIO.reachesTimer ? 3_600_000_000 : UInt32(self.interval * 1000)
  }
}
