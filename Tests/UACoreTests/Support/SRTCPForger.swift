import CSRTP
import NetBase
import TestSupport

@testable import SRTPEngine

/// SRTCP with a right tag, as whoever has the key can make it: encrypted, or in the clear with E = 0 (RFC 3711 §3.4).
@safe final class SRTCPForger {
  private let session: srtp_t

  /// - Parameter index: the SRTCP index that the first packet has.
  init(_ material: borrowing SRTPKeyMaterial, isEncrypted: Bool, index: Int) throws {
    try SRTPLibrary.start()
    var created: srtp_t?
    let stream = srtp_ssrc_t(type: ssrc_any_outbound, value: 0)
    let status = unsafe material.withPolicy(for: stream, replayWindow: 128) { standard in
      var policy = unsafe standard.pointee
      if !isEncrypted { unsafe policy.rtcp.sec_serv = sec_serv_auth }
      return unsafe srtp_create(&created, &policy)
    }
    guard status == srtp_err_status_ok, let session = unsafe created else {
      throw SRTPError.contextRefused(material.profile, status: status.rawValue)
    }
    unsafe self.session = session
    for _ in 1..<index { _ = self.protect([0x80, 201, 0, 1, 0, 0, 0, 0]) }
  }

  deinit { _ = unsafe srtp_dealloc(self.session) }

  /// The report with what makes it SRTCP; nil where libsrtp2 refuses it.
  func protect(_ report: [UInt8]) -> [UInt8]? {
    var bytes = report + [UInt8](repeating: 0, count: 64)
    var length = Int32(report.count)
    let status = unsafe bytes.withUnsafeMutableBytes { unsafe srtp_protect_rtcp(self.session, $0.baseAddress, &length) }
    return status == srtp_err_status_ok ? Array(bytes.prefix(Int(length))) : nil
  }
}
