package import ICEAgent
internal import NetBase
internal import ice

extension STUNSecret {
  /// A password that is no secret.
  package convenience init(_ text: String) { self.init(Array(text.utf8).withRawSpan { SecretBytes($0) }) }
}

extension [UInt8] {
  /// Their hash, as a STUN server has it that keeps its users' passwords in the clear.
  package func hashed(_ hash: STUNCrypto.Hash) -> [UInt8] {
    self.withRawSpan { STUNCrypto.openSSL.digest(hash, $0).bytes.copied() }
  }
}
