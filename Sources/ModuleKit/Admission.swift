/// What the core does with a stage in a receive mode.
public enum Admission: String, CaseIterable, Sendable {
  case asIs = "as is"
  case locked
  case marshalled
}

/// Why a stage may not run in the configured receive mode: one sentence, with the line that would help.
public struct AdmissionError: Error, Hashable, CustomStringConvertible {
  /// The module's name.
  public let module: String
  /// What the module claims.
  public let safety: ThreadSafety
  /// The configured mode.
  public let mode: RxMode
  /// The configured policy.
  public let policy: AdmissionPolicy

  public var description: String {
    let help =
      switch self.safety {
      case .lockable: "rtp_rxmode_policy lock"
      case .mainOnly, .confined, .concurrent: "rtp_rxmode_policy marshal"
      }
    return "module \(self.module) is \(self.safety.rawValue) and cannot run with rtp_rxmode \(self.mode.rawValue)"
      + " under rtp_rxmode_policy \(self.policy.rawValue): set \"\(help)\" or \"rtp_rxmode main\""
  }
}

extension ThreadSafety {
  /// What the core does with a stage of this kind; total and pure.
  ///
  /// - Throws: where nothing safe is left.
  public func admission(
    of module: String, in mode: RxMode, policy: AdmissionPolicy
  ) throws(AdmissionError) -> Admission {
    switch (mode, self, policy) {
    case (.main, _, _), (_, .concurrent, _), (_, .confined, _): .asIs
    case (_, .lockable, .lock), (_, .lockable, .marshal): .locked
    case (_, .mainOnly, .marshal): .marshalled
    case (_, .lockable, .reject), (_, .mainOnly, .reject), (_, .mainOnly, .lock):
      throw AdmissionError(module: module, safety: self, mode: mode, policy: policy)
    }
  }
}
