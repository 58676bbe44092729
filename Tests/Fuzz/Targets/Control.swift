import ModuleKit
import TestSupport
import UACore
import ctrl_tcp

/// What programs say to `ctrl_tcp`, from its bytes to its commands; the page of `httpd` sends JSON, too.
enum Control {
  /// A value is written, in both ways, and read again the same. Numbers are rounded once.
  static func json(_ bytes: [UInt8]) {
    let value: JSON
    do throws(JSON.Malformed) { value = try JSON(parsing: bytes) } catch {
      return require((0...bytes.count).contains(error.offset), "a mistake beyond the end of its text")
    }
    let compact = value.compact
    for written in [compact, value.description] {
      guard let again = try? JSON(parsing: written.utf8) else {
        return require(false, "a value that was read can't be read again")
      }
      require(again.compact.utf8.elementsEqual(compact.utf8), "a value that was read is written as another")
    }
  }

  /// The first byte says in which parts the others come.
  static func netstrings(_ bytes: [UInt8]) {
    let (size, stream) = (Int(bytes.first ?? 0) % 16 + 1, bytes.dropFirst())
    let whole = Self.texts(stream, by: max(1, stream.count))
    let inParts = Self.texts(stream, by: size)
    require(
      whole.texts == inParts.texts && whole.failure == inParts.failure, "it is read otherwise when it comes in parts")
    require(whole.texts.allSatisfy { $0.count <= NetstringReader.limit }, "a text that is too long")
    let text = String(decoding: stream, as: UTF8.self)
    guard text.utf8.count <= NetstringReader.limit else { return }
    let again = Self.texts(NetstringReader.wrapped(text)[...], by: size)
    require(again.texts == [Array(text.utf8)] && again.failure == nil, "a text that was wrapped comes out as another")
  }

  private static func texts(
    _ stream: ArraySlice<UInt8>, by size: Int
  ) -> (texts: [[UInt8]], failure: NetstringReader.Failure?) {
    var reader = NetstringReader()
    var texts: [[UInt8]] = []
    for part in parts(of: stream, by: size) {
      reader.append(part)
      do throws(NetstringReader.Failure) {
        while let text = try reader.next() { texts.append(text) }
      } catch { return (texts, error) }
    }
    return (texts, nil)
  }

  /// Known to the account alone.
  private static let secret = "kept-from-everyone"
  /// Modules without a socket or a file of their own, for commands switch them on.
  private static let modules = ["g711", "ausine", "aubridge", "mixausrc", "srtp", "presence", "serreg"]

  /// Lines are commands as people type them, at an agent that is alone on its network and may call itself: a refusal
  /// says why, no answer tells a password, and no call is left in the end.
  static func commands(_ bytes: [UInt8]) {
    let simulation = Simulation()
    guard let agent = try? Self.agent(in: simulation) else { return require(false, "there is no agent") }
    let text = String(decoding: bytes, as: UTF8.self)
    let isGuessed = text.contains(Self.secret)
    for line in text.split(separator: "\n").prefix(16) {
      let result = agent.act { $0.execute(line: String(line)) }
      require(result.isOK || !result.text.isEmpty, "a refusal without a reason")
      require(isGuessed || !result.text.contains(Self.secret), "a password is told")
      simulation.run(milliseconds: 200)
    }
    agent.act { $0.hangUpAll() }
    let isOver = simulation.run(milliseconds: 120_000) { agent.act { $0.callCount } == 0 }
    require(isOver, "a call that was hung up is left")
  }

  private static func agent(in simulation: Simulation) throws -> SimulatedAgent {
    var configuration = Configuration()
    configuration.activeModules = ["g711", "ausine", "aubridge", "srtp"]
    let line =
      "\"Alice\" <sip:alice@10.0.0.1>;auth_pass=\(Self.secret);regint=0;audio_source=ausine,440;"
      + "audio_player=aubridge,fuzz"
    let agent = try SimulatedAgent(
      "alice", in: simulation, host: 0x0A00_0001, configuration: configuration, seed: 1, loss: 0
    ) { settings in settings.available.removeAll { !Self.modules.contains($0.name) } }
    let added = agent.act { $0.execute(line: "/uanew \(line)") }
    require(added.isOK, "there is no account: \(added.text)")
    return agent
  }
}
