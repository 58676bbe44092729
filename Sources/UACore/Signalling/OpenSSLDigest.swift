internal import COpenSSL
package import SIPStack

extension DigestAlgorithm {
  /// The hash of `bytes`, from OpenSSL; empty where its provider refuses the algorithm, as FIPS does with MD5. Any
  /// thread.
  package func hash(_ bytes: RawSpan) -> [UInt8] {
    let method =
      switch self {
      case .md5: unsafe EVP_md5()
      case .sha256: unsafe EVP_sha256()
      case .sha512Truncated256: unsafe EVP_sha512_256()
      }
    var output = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    ERR_clear_error()
    let isDone = unsafe bytes.withUnsafeBytes { input in
      unsafe output.withUnsafeMutableBufferPointer { room in
        unsafe EVP_Digest(input.baseAddress, input.count, room.baseAddress, &length, method, nil)
      }
    }
    return isDone == 1 ? Array(output.prefix(Int(length))) : []
  }

  /// What an endpoint's configuration wants.
  package static let openSSL: DigestFunction = { algorithm, bytes in algorithm.hash(bytes) }
}
