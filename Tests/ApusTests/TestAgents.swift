import Apus

/// An agent on loopback, without encryption where `change` says nothing else.
func testAgent(
  _ name: String, _ change: (inout UserAgent.Configuration) -> Void = { _ in }
) async throws -> UserAgent {
  var configuration = UserAgent.Configuration()
  (configuration.identity, configuration.listen) = ("sip:\(name)@127.0.0.1", "127.0.0.1:0")
  configuration.encryption = .none
  change(&configuration)
  return try await UserAgent(configuration)
}
