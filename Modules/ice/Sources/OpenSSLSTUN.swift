internal import COpenSSL
package import ICEAgent
internal import NetBase

extension STUNCrypto {
  /// What ICE's messages are authenticated with, from OpenSSL. Any thread.
  package static let openSSL = STUNCrypto(
    digest: { hash, bytes in
      unsafe output { room, length in
        unsafe bytes.withUnsafeBytes { input in
          unsafe EVP_Digest(input.baseAddress, input.count, room, &length, hash.method, nil) == 1
        }
      }
    },
    hmac: { hash, key, bytes in
      unsafe output { room, length in
        unsafe bytes.withUnsafeBytes { input in
          let start = unsafe input.bindMemory(to: UInt8.self).baseAddress
          return unsafe HMAC(hash.method, key, Int32(key.count), start, input.count, room, &length) != nil
        }
      }
    })

  private static func output(
    _ body: (_ room: UnsafeMutablePointer<UInt8>?, _ length: inout UInt32) -> Bool
  ) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    ERR_clear_error()
    let isDone = unsafe output.withUnsafeMutableBufferPointer { room in unsafe body(room.baseAddress, &length) }
    return isDone ? Array(output.prefix(Int(length))) : []
  }
}

extension STUNCrypto.Hash {
  fileprivate var method: OpaquePointer? {
    switch self {
    case .md5: unsafe EVP_md5()
    case .sha1: unsafe EVP_sha1()
    case .sha256: unsafe EVP_sha256()
    }
  }
}
