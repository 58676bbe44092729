internal import Glibc
internal import ModuleKit
internal import UACore

/// `apus modules`: what each module is, claims, and how each receive mode will run it.
func runModules(_ options: ModulesCommand) async throws {
  var configuration = Configuration()
  let usual = ConfigFolder.defaultPath
  if let folder = options.folder ?? (ConfigFolder.isThere(usual) ? usual : nil) {
    var problems: [ConfigProblem] = []
    do {
      configuration = try ConfigFolder.load(path: folder, modules: compiledModules, problems: &problems).configuration
    } catch {
      throw Failure(error.isMissing ? .noInput : .configuration, error.description)
    }
    if let problem = problems.first(where: { $0.severity == .error }) {
      throw Failure(.configuration, problem.description)
    }
  }
  let policy = options.rxmodePolicy ?? configuration.rxPolicy
  let rows = try compiledModules.map { type in
    do {
      return ModulePlan(try type.init(settings: configuration.settings(for: type)), type, policy: policy)
    } catch {
      throw Failure(error)
    }
  }
  if options.json {
    StandardOutput.print(JSON.array(rows.map(\.json)))
    return
  }
  let terminal = Terminal(STDOUT_FILENO)
  func cell(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
  StandardOutput.print(
    terminal.styled(
      cell("module", 11) + cell("thread-safety", 15) + cell("main", 9) + cell("thread", 12) + cell("pool", 12) + "kind",
      .bold))
  for row in rows {
    StandardOutput.print(
      cell(row.name, 11) + cell(row.safety.rawValue, 15) + cell(row.plan[.main] ?? "", 9)
        + cell(row.plan[.thread] ?? "", 12) + cell(row.plan[.pool] ?? "", 12)
        + (row.absence ?? row.kinds.joined(separator: ", ")))
    for device in row.devices { StandardOutput.print(cell("", 11) + "device: " + device) }
  }
  StandardOutput.print("policy: rtp_rxmode_policy \(policy.rawValue)")
  StandardOutput.print("encryption: srtp_engine \(configuration.srtpEngine)")
}

/// One module's row.
struct ModulePlan {
  let name: String
  let kinds: [String]
  /// Why there is less than the module could bring.
  let absence: String?
  /// Those that its library names here.
  let devices: [String]
  let safety: ThreadSafety
  let plan: [RxMode: String]

  init(_ module: some Module, _ type: any Module.Type, policy: AdmissionPolicy) {
    self.name = type.name
    var kinds: [String] = []
    for facet in module.facets where !kinds.contains(facet.kind) { kinds.append(facet.kind) }
    self.kinds = kinds
    self.absence = type.absence
    self.devices = type.devices
    // A module may have parts on main beside those that packets meet.
    let onMediaPath = module.facets.first { $0.isOnMediaPath }
    let safety = (onMediaPath ?? module.facets.first)?.safety ?? type.absentSafety ?? .mainOnly
    self.safety = safety
    var plan: [RxMode: String] = [:]
    for mode in RxMode.allCases {
      let admission = onMediaPath != nil ? try? safety.admission(of: type.name, in: mode, policy: policy) : .asIs
      plan[mode] = admission?.rawValue ?? "rejected"
    }
    self.plan = plan
  }

  var json: JSON {
    [
      "name": .string(self.name), "kinds": .array(self.kinds.map { .string($0) }),
      "absence": self.absence.map { .string($0) } ?? .null,
      "devices": .array(self.devices.map { .string($0) }), "thread_safety": .string(self.safety.rawValue),
      "plan": .object(
        RxMode.allCases.map { JSON.Member(key: $0.rawValue, value: .string(self.plan[$0] ?? "")) }),
    ]
  }
}
