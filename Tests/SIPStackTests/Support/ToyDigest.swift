internal import NetBase
internal import SIPStack

/// A stand-in for hashes, which this layer does not have: 16 bytes that depend on the algorithm and on every byte.
let toyDigest: DigestFunction = { algorithm, bytes in
  var state: (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 0x9E37_79B9_7F4A_7C15)
  for byte in Array(algorithm.rawValue.utf8) + bytes.copied() {
    state.0 = (state.0 ^ UInt64(byte)) &* 0x100_0000_01B3
    state.1 = (state.1 &+ state.0) &* 0xD6E8_FEB8_6659_FD93
    state.1 ^= state.1 >> 32
  }
  return [state.0, state.1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
}

func credentials(_ user: String, _ password: String) -> SIPCredentials {
  SIPCredentials(user: user, password: Array(password.utf8).withRawSpan { SecretBytes($0) })
}
