import ModuleKit

/// A media encryption that fails when it is asked for an offer.
struct BrokenKeys: Module, MediaEncryption {
  static let name = "broken_keys"
  static let summary = "a media encryption of the tests that fails"

  init(settings: ModuleSettings) throws(ModuleError) {}

  var facets: [Facet] { [Facet(.encryption(self))] }
  var id: String { "broken" }
  var offeredProtocol: String { "RTP/SAVP" }
  var acceptedProtocols: [String] { ["RTP/SAVP"] }
  var isMandatory: Bool { true }
  func makeSession() throws(ModuleError) -> any MediaEncryptionSession { Session() }

  private final class Session: MediaEncryptionSession {
    let error = ModuleError(.unavailable, "module broken_keys: no keys today")
    func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] { throw self.error }
    func requestRekey() -> Bool { false }
    func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] { throw self.error }
    func receive(answer: RemoteSecurity) throws(ModuleError) { throw self.error }
    func rollback() {}
    func answerConfirmed() {}
    func nextCommand() -> KeyingCommand? { nil }
  }
}
