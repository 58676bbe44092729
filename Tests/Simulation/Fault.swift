/// What befalls calls: by the weather, by users, by machines (`Trouble`, by the names of its cases).
enum Fault: String, CaseIterable {
  case loss, copies, reordering, turnedBits, delay
  case outage, vanish
  case partition, stalledExecutor, stalledMain, starved, crowded, forgedReports, restart, mediaRefused,
    signallingRefused
  /// Of the calls of `DiskFullTests` only, all of which are recorded.
  case diskFull

  /// Why there is no such cell in the table of phases; nil where there is one.
  func absence(in phase: Phase) -> String? {
    switch (self, phase) {
    case (.diskFull, .ringing), (.diskFull, .keying): "nothing has been recorded yet"
    default: nil
    }
  }

  init?(_ trouble: Trouble) { self.init(rawValue: String(trouble.name)) }
}

extension Scenario.Act {
  /// What it is to the call, and for how many milliseconds, nil for ever; nil for what users may do, and for what is seen
  /// only where something is sent meanwhile.
  var fault: (Fault, Int64?)? {
    switch self {
    case .hold, .resume, .rekey, .digits, .trouble(.mediaRefused), .trouble(.signallingRefused): nil
    case .vanish: (.vanish, nil)
    case .outage(let length): (.outage, length)
    case .trouble(let trouble): Fault(trouble).map { ($0, trouble.length) }
    }
  }
}

extension Trouble {
  /// The case's name.
  var name: Substring { "\(self)".prefix { $0 != "(" } }

  /// For how many milliseconds it is at work; 0 for what is over at once.
  var length: Int64 {
    switch self {
    case .partition(let length), .stalledExecutor(_, let length), .stalledMain(_, let length),
      .starved(_, period: _, let length), .crowded(_, holds: _, let length), .forgedReports(_, let length),
      .mediaRefused(_, _, let length), .signallingRefused(_, let length):
      length
    case .restart: 0
    }
  }
}
