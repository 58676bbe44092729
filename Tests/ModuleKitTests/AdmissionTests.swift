import ModuleKit
import Testing

/// The whole table of claims, modes and policies.
@Suite struct AdmissionTests {
  /// Per claim: main under any policy, then reject, lock and marshal off main; nil is refused.
  static let table: [ThreadSafety: (main: Admission, reject: Admission?, lock: Admission?, marshal: Admission?)] = [
    .mainOnly: (.asIs, nil, nil, .marshalled),
    .lockable: (.asIs, nil, .locked, .locked),
    .confined: (.asIs, .asIs, .asIs, .asIs),
    .concurrent: (.asIs, .asIs, .asIs, .asIs),
  ]

  struct Entry: Sendable {
    let safety: ThreadSafety
    let mode: RxMode
    let policy: AdmissionPolicy
  }

  static let entries = ThreadSafety.allCases.flatMap { safety in
    RxMode.allCases.flatMap { mode in
      AdmissionPolicy.allCases.map { Entry(safety: safety, mode: mode, policy: $0) }
    }
  }

  @Test(
    "every claim in every mode under every policy is admitted or refused as the table says", arguments: Self.entries)
  func verdict(entry: Entry) throws {
    let row = try #require(Self.table[entry.safety])
    let expected: Admission? =
      switch (entry.mode, entry.policy) {
      case (.main, _): row.main
      case (_, .reject): row.reject
      case (_, .lock): row.lock
      case (_, .marshal): row.marshal
      }
    do throws(AdmissionError) {
      let admission = try entry.safety.admission(of: "m", in: entry.mode, policy: entry.policy)
      #expect(admission == expected)
    } catch {
      #expect(expected == nil)
      #expect(error.module == "m" && error.safety == entry.safety)
      #expect(error.mode == entry.mode && error.policy == entry.policy)
      // The line that is advised does help.
      let advised: AdmissionPolicy = error.description.contains("\"rtp_rxmode_policy lock\"") ? .lock : .marshal
      #expect(throws: Never.self) { try entry.safety.admission(of: "m", in: entry.mode, policy: advised) }
    }
  }

  @Test("the table is complete")
  func complete() {
    #expect(Self.entries.count == 36)
    let refused = Self.entries.filter { entry in
      (try? entry.safety.admission(of: "m", in: entry.mode, policy: entry.policy)) == nil
    }
    #expect(refused.count == 6)
  }

  @Test("a refusal is one sentence with the module, the mode, the claim and what helps")
  func sentence() {
    do throws(AdmissionError) {
      _ = try ThreadSafety.mainOnly.admission(of: "vumeter", in: .thread, policy: .lock)
    } catch {
      #expect(
        error.description
          == "module vumeter is mainOnly and cannot run with rtp_rxmode thread under rtp_rxmode_policy lock: "
          + "set \"rtp_rxmode_policy marshal\" or \"rtp_rxmode main\"")
    }
    do throws(AdmissionError) {
      _ = try ThreadSafety.lockable.admission(of: "aubridge", in: .pool, policy: .reject)
    } catch {
      #expect(
        error.description
          == "module aubridge is lockable and cannot run with rtp_rxmode pool under rtp_rxmode_policy reject: "
          + "set \"rtp_rxmode_policy lock\" or \"rtp_rxmode main\"")
    }
  }

  @Test("an offer's claim is the case that carries its proof")
  func claims() {
    let prepare: @Sendable (AudioRequest) throws(ModuleError) -> StageFactory = { _ throws(ModuleError) in
      { () throws(ModuleError) in throw ModuleError(.unavailable, "") }
    }
    #expect(StageOffer.mainOnly(prepare).safety == .mainOnly)
    #expect(StageOffer.lockable(prepare).safety == .lockable)
    #expect(StageOffer.confined(prepare).safety == .confined)
    #expect(Facet.filter(.mainOnly(prepare)).safety == .mainOnly && Facet.filter(.mainOnly(prepare)).isOnMediaPath)
  }
}

@Suite struct SettingsTests {
  @Test("a key that the file lacks has its default, and only declared keys are seen")
  func settings() {
    let keys = [
      ConfigKey("a_flag", .bool, default: "yes", help: ""),
      ConfigKey("a_count", .integer(0...9), default: "3", help: ""),
      ConfigKey("a_gain", .decimal(0...1), default: "0.5", help: ""),
    ]
    let settings = ModuleSettings(keys: keys, values: ["a_count": "7", "other": "1"])
    #expect(settings.bool("a_flag") && settings.integer("a_count") == 7 && settings.decimal("a_gain") == 0.5)
    #expect(settings.string("other").isEmpty && settings.integer("other") == 0 && !settings.bool("other"))
  }
}
