package import NetBase

/// What protects the body too.
package enum QualityOfProtection: String, Hashable, Sendable {
  case authentication = "auth"
  case integrity = "auth-int"
}

/// The response of RFC 7616 §3.4.1, from what both sides know.
package struct DigestComputation {
  private let digest: DigestFunction
  private let algorithm: DigestAlgorithm
  private let isSession: Bool

  package init(digest: @escaping DigestFunction, algorithm: DigestAlgorithm, isSession: Bool) {
    (self.digest, self.algorithm, self.isSession) = (digest, algorithm, isSession)
  }

  package func hash(_ text: String) -> String { self.hash(Array(text.utf8)) }

  func hash(_ bytes: [UInt8]) -> String {
    hexadecimal(bytes.withRawSpan { self.digest(self.algorithm, $0) })
  }

  /// H(user:realm:password), as a server may keep it in place of the password.
  package func secret(user: String, realm: String, password: borrowing SecretBytes) -> String {
    let prefix = Array("\(user):\(realm):".utf8)
    // The clear password stands in memory that is wiped.
    var joined = SecretBytes(count: prefix.count + password.count)
    unsafe joined.withUnsafeMutableBytes { target in
      for (index, byte) in prefix.enumerated() { unsafe target[index] = byte }
      unsafe password.withUnsafeBytes { source in
        for index in 0..<source.count { unsafe target[prefix.count + index] = source[index] }
      }
    }
    return hexadecimal(self.digest(self.algorithm, joined.bytes))
  }

  /// What only the request adds to the secret.
  package struct Request {
    var method: SIPMethod
    var uri: String
    var nonce: String
    /// Eight hexadecimal digits; nil without qop (RFC 2069).
    var nonceCount: String?
    var clientNonce: String?
    var qop: QualityOfProtection?
    var body: [UInt8]

    package init(
      method: SIPMethod, uri: String, nonce: String, nonceCount: String? = nil, clientNonce: String? = nil,
      qop: QualityOfProtection? = nil, body: [UInt8] = []
    ) {
      (self.method, self.uri, self.nonce, self.nonceCount) = (method, uri, nonce, nonceCount)
      (self.clientNonce, self.qop, self.body) = (clientNonce, qop, body)
    }
  }

  package func response(secret: String, _ request: Request) -> String {
    let first = self.isSession ? self.hash("\(secret):\(request.nonce):\(request.clientNonce ?? "")") : secret
    var second = "\(request.method.name):\(request.uri)"
    if request.qop == .integrity { second += ":\(self.hash(request.body))" }
    guard let qop = request.qop else { return self.hash("\(first):\(request.nonce):\(self.hash(second))") }
    let middle = "\(request.nonce):\(request.nonceCount ?? ""):\(request.clientNonce ?? ""):\(qop.rawValue)"
    return self.hash("\(first):\(middle):\(self.hash(second))")
  }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// Eight hexadecimal digits, as a nonce count has them.
func hexadecimal(_ number: UInt32) -> String {
  hexadecimal([
    UInt8(truncatingIfNeeded: number >> 24), UInt8(truncatingIfNeeded: number >> 16),
    UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number),
  ])
}
