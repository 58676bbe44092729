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

/// 400 Hz at 16 kHz; put together by periods, for sample by sample it takes a sanitizer seconds.
func squareWave(seconds: Int) -> [Int16] {
  let period = [Int16](repeating: 8000, count: 20) + [Int16](repeating: -8000, count: 20)
  var wave: [Int16] = []
  for _ in 0..<400 * seconds { wave += period }
  return wave
}
