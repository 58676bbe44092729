internal import ModuleKit

@testable internal import UACore

extension CallReport {
  /// Of a call that went well, but for `change`.
  static func example(_ number: UInt64 = 1, _ change: (inout CallReport) -> Void = { _ in }) -> CallReport {
    var media = TransportStatistics()
    (media.sentPackets, media.receivedPackets, media.decodedSamples) = (100, 100, 16_000)
    var report = CallReport(
      id: CallID(number: number), isOutgoing: true, peer: "sip:a@b", state: .ended, reason: "hangup", failure: nil,
      status: nil, setup: 4, secure: 9, firstMedia: 7, duration: 2, mediaEncryption: "dtls_srtp", profile: nil,
      dtlsVersion: "DTLSv1.2", codec: "PCMU/8000/1", rxMode: .pool, isOnHold: false, isHeldByPeer: false, digits: "",
      media: media, video: nil, videoTransport: nil)
    change(&report)
    return report
  }
}
