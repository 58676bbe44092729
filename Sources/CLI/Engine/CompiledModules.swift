internal import AllModules
internal import ModuleKit
internal import UACore

/// All modules of this build, in order of preference.
let compiledModules: [any Module.Type] = allModules

/// The active modules when there is no config: all but the meter, which writes to the terminal, and the control port.
let defaultModuleNames = compiledModules.map { $0.name }.filter { !["vumeter", "ctrl_tcp", "whip"].contains($0) }

/// Names of the codecs of this build, in lower case.
func compiledCodecNames() -> [String] {
  let registry = try? ModuleRegistry(available: compiledModules, active: defaultModuleNames, settings: [:])
  return registry?.codecs.map { $0.encodingName.lowercased() } ?? []
}

/// Version, modules, and versions of the C libraries.
var versionText: String {
  let modules = compiledModules.map { $0.name }.joined(separator: " ")
  let libraries = compiledModules.compactMap { $0.libraryVersion }.joined(separator: ", ")
  return "apus \(apusVersion)\nmodules: \(modules)\nlibraries: \(libraries)"
}
