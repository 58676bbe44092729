internal import CTransform
internal import NetBase

/// The session keys of one master key in our own transform: the only place that calls the C part of it with them.
@safe struct OpenSSLKeys: ~Copyable {
  private let handle: OpaquePointer
  let profile: SRTPProfile
  private var stamp = OwnerStamp("an SRTP context")

  init(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    let profile = material.profile
    let handle = unsafe material.keyAndSalt.withUnsafeBytes { secret -> OpaquePointer? in
      let key = unsafe secret.bindMemory(to: UInt8.self).baseAddress
      return unsafe key.flatMap {
        unsafe ctransform_create($0, profile.keyLength, $0 + profile.keyLength, profile.isAEAD)
      }
    }
    guard let handle = unsafe handle else { throw .keyRefused(profile) }
    unsafe self.handle = handle
    self.profile = profile
  }

  deinit { unsafe ctransform_destroy(self.handle) }

  /// Gives the handle up to a bag that frees it later.
  consuming func release() -> OpaquePointer {
    let handle = unsafe self.handle
    discard self
    return unsafe handle
  }

  mutating func adopt() { self.stamp.adopt() }

  /// Bytes of the authentication tag.
  func tagLength(isRTCP: Bool) -> Int { isRTCP ? self.profile.rtcpTagLength : self.profile.rtpTagLength }

  /// Encrypts in place and adds the trailer, for which there must be room.
  mutating func seal(_ packet: inout Packet, _ header: SecureHeader, index: UInt64, isRTCP: Bool) -> SRTPResult {
    self.stamp.touch()
    let (payload, tag) = (packet.count - header.length, self.tagLength(isRTCP: isRTCP))
    let length = packet.count + tag + (isRTCP ? 4 : 0)
    precondition(payload >= 0 && length <= packet.capacity, "no room for an SRTP trailer")
    let isSealed = unsafe packet.storage.withUnsafeMutableBytes { bytes in
      var parts = unsafe Self.parts(bytes, header, payload: payload, tag: tag, index: index, isRTCP: isRTCP)
      return unsafe ctransform_seal(self.handle, &parts)
    }
    guard isSealed else { return .failed }
    packet.count = length
    return .ok
  }

  /// Authenticates, decrypts in place and takes the trailer off. Unless the result is `.ok`, the payload is undefined.
  mutating func open(_ packet: inout Packet, _ header: SecureHeader, index: UInt64, isRTCP: Bool) -> SRTPResult {
    self.stamp.touch()
    let tag = self.tagLength(isRTCP: isRTCP)
    let payload = packet.count - header.length - tag - (isRTCP ? 4 : 0)
    guard payload >= 0 else { return .malformed }
    let verdict = unsafe packet.storage.withUnsafeMutableBytes { bytes in
      var parts = unsafe Self.parts(bytes, header, payload: payload, tag: tag, index: index, isRTCP: isRTCP)
      return unsafe ctransform_open(self.handle, &parts)
    }
    guard verdict == 1 else { return verdict == 0 ? .authenticationFailed : .failed }
    packet.count = header.length + payload
    return .ok
  }

  private static func parts(
    _ bytes: UnsafeMutableRawBufferPointer, _ header: SecureHeader, payload: Int, tag: Int, index: UInt64,
    isRTCP: Bool
  ) -> ctransform_packet {
    unsafe ctransform_packet(
      bytes: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), header: header.length, payload: payload,
      tag: tag, ssrc: header.ssrc, index: index, is_rtcp: isRTCP)
  }
}
