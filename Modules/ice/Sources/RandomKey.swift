internal import COpenSSL
internal import Glibc
internal import ModuleKit
internal import SIPStack

extension SeededGenerator {
  /// A stream that nobody can guess: 256 bits from OpenSSL's generator.
  static func random() throws(ModuleError) -> SeededGenerator {
    var bytes = [UInt8](repeating: 0, count: 32)
    ERR_clear_error()
    guard unsafe RAND_priv_bytes(&bytes, 32) == 1 else {
      throw ModuleError(.unavailable, "module ice: OpenSSL has no random bytes")
    }
    let words = (0..<4).map { word in bytes[(8 * word)..<(8 * word + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    return SeededGenerator(key: (words[0], words[1], words[2], words[3]))
  }
}
