internal import COpenSSL
package import ICEAgent
internal import NetBase

extension STUNCrypto {
  /// What ICE's messages are authenticated with, from OpenSSL. Any thread.
  package static let openSSL = STUNCrypto(
    digest: { hash, bytes in
      var output = SecretBytes(count: hash.length)
      ERR_clear_error()
      let isDone = unsafe output.withUnsafeMutableBytes { room in
        unsafe bytes.withUnsafeBytes { input in
          let start = unsafe room.bindMemory(to: UInt8.self).baseAddress
          return unsafe EVP_Digest(input.baseAddress, input.count, start, nil, hash.method, nil) == 1
        }
      }
      return isDone ? output : SecretBytes(count: 0)
    },
    hmac: { hash, key, bytes in
      var output = [UInt8](repeating: 0, count: hash.length)
      ERR_clear_error()
      let isDone = unsafe key.withUnsafeBytes { key in
        unsafe bytes.withUnsafeBytes { input in
          let start = unsafe input.bindMemory(to: UInt8.self).baseAddress
          return unsafe HMAC(hash.method, key.baseAddress, Int32(key.count), start, input.count, &output, nil) != nil
        }
      }
      return isDone ? output : []
    })
}

extension STUNCrypto.Hash {
  /// Bytes.
  fileprivate var length: Int {
    switch self {
    case .md5: 16
    case .sha1: 20
    case .sha256: 32
    }
  }

  fileprivate var method: OpaquePointer? {
    switch self {
    case .md5: unsafe EVP_md5()
    case .sha1: unsafe EVP_sha1()
    case .sha256: unsafe EVP_sha256()
    }
  }
}
