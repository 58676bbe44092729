internal import CSRTP
internal import NetBase

extension SRTPKeyMaterial {
  /// Calls `body` with libsrtp2's form of the key, which is valid during the call only. `TrailerLayout` does the MKI.
  func withPolicy<Result>(
    for ssrc: srtp_ssrc_t, replayWindow: Int, _ body: (UnsafePointer<srtp_policy_t>) -> Result
  ) -> Result {
    var policy = unsafe srtp_policy_t()
    unsafe policy.ssrc = ssrc
    unsafe policy.window_size = UInt(replayWindow)
    unsafe self.profile.fill(&policy)
    return unsafe self.keyAndSalt.withUnsafeBytes { secret in
      // libsrtp2 takes the key as mutable and only reads it.
      unsafe policy.key = UnsafeMutablePointer(mutating: secret.bindMemory(to: UInt8.self).baseAddress)
      return unsafe body(&policy)
    }
  }
}

extension SRTPProfile {
  fileprivate func fill(_ policy: inout srtp_policy_t) {
    switch self {
    case .aesCM128HMACSHA1Tag80:
      unsafe srtp_crypto_policy_set_rtp_default(&policy.rtp)
      unsafe srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
    case .aesCM128HMACSHA1Tag32:
      unsafe srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp)
      unsafe srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
    case .aes256CMHMACSHA1Tag80:
      unsafe srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtp)
      unsafe srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtcp)
    case .aeadAES128GCM:
      unsafe srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
      unsafe srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
    case .aeadAES256GCM:
      unsafe srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
      unsafe srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
    }
  }
}
