internal import CLimit
internal import ModuleKit
internal import NetBase
internal import SRTPEngine

/// Which way packets go.
enum PathDirection: String, CaseIterable, Sendable {
  case receive, send
}

/// What the packets carry.
enum BenchCodec: String, Sendable {
  case pcmu, opus

  /// RTP's.
  var payloadType: UInt8 { self == .pcmu ? 0 : 111 }
  var encodingName: String { self == .pcmu ? "PCMU" : "opus" }
  /// Samples of 20 ms, one channel.
  var samples: Int { self == .pcmu ? 160 : 960 }
}

/// One line of the packet path's table.
struct BenchCase: Sendable {
  let direction: PathDirection
  let mode: RxMode
  let codec: BenchCodec
  /// Nil: in the clear.
  let profile: SRTPProfile?
  let transform: SRTPTransform
  let legs: Int
  let threads: Int
  /// Datagrams of one receive, as the mode's loops have them.
  let batch: Int

  /// - Parameter workers: of `pool`.
  init(
    _ direction: PathDirection, _ mode: RxMode, _ profile: SRTPProfile?, _ transform: SRTPTransform = .standard,
    codec: BenchCodec = .pcmu, workers: Int
  ) {
    self.transform = transform
    (self.direction, self.mode, self.profile, self.codec) = (direction, mode, profile, codec)
    self.legs =
      switch (codec, direction, mode) {
      case (_, _, .thread): 24
      case (.pcmu, _, .main), (.pcmu, _, .pool), (.opus, .receive, _): 100
      // Both programs encode, and no processor is to be full.
      case (.opus, .send, _): 24
      }
    (self.threads, self.batch) =
      switch mode {
      case .main: (1, 32)
      case .pool: (workers, 32)
      case .thread: (self.legs, 8)
      }
  }

  var profileName: String { self.profile?.rawValue ?? "none" }
  var transformName: String { self.profile == nil ? "-" : self.transform.rawValue }
  var name: String { "\(self.direction) \(self.mode) \(self.codec) \(self.profileName) \(self.transformName)" }

  /// The profile as the C program calls it.
  var limitProfile: climit_profile {
    switch self.profile {
    case nil: CLIMIT_PLAIN
    case .aesCM128HMACSHA1Tag80: CLIMIT_AES_CM_128_HMAC_SHA1_80
    case .aesCM128HMACSHA1Tag32: CLIMIT_AES_CM_128_HMAC_SHA1_32
    case .aes256CMHMACSHA1Tag80: CLIMIT_AES_256_CM_HMAC_SHA1_80
    case .aeadAES128GCM: CLIMIT_AEAD_AES_128_GCM
    case .aeadAES256GCM: CLIMIT_AEAD_AES_256_GCM
    }
  }

  /// The same key for both programs.
  var key: [UInt8] { (0..<(self.profile?.keyAndSaltLength ?? 30)).map { UInt8($0 + 1) } }

  func material() throws -> SRTPKeyMaterial? {
    guard let profile else { return nil }
    return try SRTPKeyMaterial(profile: profile, keyAndSalt: self.key.withRawSpan { SecretBytes($0) })
  }
}
