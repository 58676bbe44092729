package import ModuleKit

/// A media encryption that fails when it is asked for an offer.
package struct BrokenKeys: Module, MediaEncryption {
  package static let name = "broken_keys"
  package static let summary = "a media encryption of the tests that fails"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] { [Facet(.encryption(self))] }
  package var id: String { "broken" }
  package var offeredProtocol: String { "RTP/SAVP" }
  package var acceptedProtocols: [String] { ["RTP/SAVP"] }
  package var isMandatory: Bool { true }
  package func makeSession() throws(ModuleError) -> any MediaEncryptionSession { Session() }

  private final class Session: MediaEncryptionSession {
    let error = ModuleError(.unavailable, "module broken_keys: no keys today")
    func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] { throw self.error }
    func requestRekey() -> Bool { false }
    func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] { throw self.error }
    func receive(answer: RemoteSecurity) throws(ModuleError) { throw self.error }
    func rollback() {}
    func answerConfirmed() {}
    func answerStands() {}
    func nextCommand() -> KeyingCommand? { nil }
  }
}
