internal import ICEAgent
internal import ModuleKit

/// Candidate lines of the peer's: those that can be used as they are, and the others.
struct CandidateLines {
  private(set) var candidates: [ICECandidate] = []
  private(set) var others: [(line: String, why: ICECandidateError)] = []

  init(_ lines: [String]) {
    for line in lines where !line.isEmpty {
      do throws(ICECandidateError) { self.candidates.append(try ICECandidate(parsing: line)) } catch {
        self.others.append((line, error))
      }
    }
  }

  var hasNames: Bool { self.others.contains { if case .name = $0.why { true } else { false } } }
}

/// Of one call, the lines that can't be used as they are: names to be resolved, and what is only counted.
struct UnusableLines {
  private(set) var counts = UnusedCandidates()
  /// Names that wait to be asked for, and how many there were.
  private var named: [NamedCandidate] = []
  private var names = 0
  private static let maximumNames = 16
  /// Each behind its `ice-ufrag`: a later description repeats what the last one had.
  private var noted: Set<String> = []
  private static let maximumLines = 256

  mutating func note(_ lines: CandidateLines, of fragment: String) {
    for (line, why) in lines.others
    where self.noted.count < Self.maximumLines && self.noted.insert("\(fragment) \(line)").inserted {
      switch why {
      case .name:
        if self.names < Self.maximumNames, let candidate = NamedCandidate(line, of: fragment) {
          self.names += 1
          self.named.append(candidate)
        } else {
          self.counts.named += 1
        }
      case .transport: self.counts.tcp += 1
      case .malformed, .kind: self.counts.unreadable += 1
      }
    }
  }

  mutating func takeNamed() -> [NamedCandidate] {
    defer { self.named = [] }
    return self.named
  }

  /// A name stands for nothing of use.
  mutating func failed() { self.counts.named += 1 }
}
