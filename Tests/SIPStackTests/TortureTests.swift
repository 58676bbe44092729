internal import Foundation
internal import NetBase
internal import SIPStack
internal import Testing

/// The messages of RFC 4475, where they lie beside the repository or where `APUS_RFC4475` says.
private let tortureFiles: [(name: String, bytes: [UInt8])] = {
  let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  let folders =
    [ProcessInfo.processInfo.environment["APUS_RFC4475"]].compactMap(\.self).map { URL(filePath: $0) }
    + ["../shared/data/rfc4475", "../../shared/data/rfc4475"].map { repository.appending(path: $0) }
  for folder in folders {
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    let messages = files.filter { $0.pathExtension == "dat" }.sorted { $0.path < $1.path }
    guard messages.isEmpty else {
      return messages.compactMap { file in
        (try? Data(contentsOf: file)).map { (file.deletingPathExtension().lastPathComponent, Array($0)) }
      }
    }
  }
  return []
}()

@Suite("RFC 4475 torture messages", .enabled(if: !tortureFiles.isEmpty))
struct TortureTests {
  /// Messages that are valid, or valid as far as an endpoint sees them, and so must be read (RFC 4475 §3.1.1, §3.2 ff).
  static let valid: Set<String> = [
    "wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri", "transports", "mpart01",
    "unreason", "noreason", "badbranch", "bcast", "unkscm", "unksm2", "bext01", "invut", "regaut01", "sdp01", "inv2543",
    "cparam01", "cparam02", "regescrt", "zeromf", "novelsc",
  ]
  /// Messages whose fault an endpoint must see in the message itself (RFC 4475 §3.1.2).
  static let invalid: Set<String> = [
    "badinv01", "clerr", "ncl", "scalar02", "scalarlg", "quotbal", "ltgtruri", "lwsruri", "lwsstart", "mismatch01",
    "mismatch02", "badvers", "bigcode", "mcl01", "multi01", "insuf",
  ]

  static func essentials(_ bytes: [UInt8]) throws(SIPParseError) -> SIPEssentials {
    try SIPEssentials(bytes.withRawSpan { span throws(SIPParseError) in try SIPMessage(datagram: span) })
  }

  @Test("no message traps the parser, the valid are read and the invalid are refused")
  func parse() {
    var read = 0
    for (name, bytes) in tortureFiles {
      do {
        _ = try Self.essentials(bytes)
        read += 1
        #expect(!Self.invalid.contains(name), "\(name) was read")
      } catch {
        #expect(!Self.valid.contains(name), "\(name): \(error.phrase)")
      }
    }
    print("RFC 4475: \(tortureFiles.count) messages, \(read) read, \(tortureFiles.count - read) refused")
  }

  @Test("no message traps an endpoint, and it still serves afterwards")
  func endpoint() {
    let pair = Pair()
    for (_, bytes) in tortureFiles { pair.inject(bytes, to: .b, from: Pair.addressA) }
    pair.run(1_000)
    let before = pair.count("200 OPTIONS", from: .b)
    pair.inject(Requests.text(.options, branch: "z9hG4bKlast"), to: .b, from: Pair.addressA)
    #expect(pair.count("200 OPTIONS", from: .b) == before + 1)
    for entry in pair.events { if case .incomingCall(let id, _) = entry.event { pair.b.hangUp(id, now: pair.now) } }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("no message traps when it is cut off or has a bit turned")
  func mutations() {
    var generator = SeededGenerator(seed: 4475)
    let endpoint = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 1))
    for (_, bytes) in tortureFiles where bytes.count < 4_000 {
      for _ in 0..<20 {
        var mutant = bytes
        if Bool.random(using: &generator) {
          mutant = Array(mutant.prefix(.random(in: 0...bytes.count, using: &generator)))
        }
        if let index = mutant.indices.randomElement(using: &generator) {
          mutant[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        }
        mutant.withRawSpan {
          endpoint.receive(
            $0, from: Pair.addressA, on: Pair.addressB, transport: .udp, now: Instant(nanoseconds: 0))
        }
        while endpoint.nextAction() != nil {}
      }
    }
    #expect(endpoint.counters.malformed > 0 && endpoint.counters.requestsReceived > 0)
  }
}
