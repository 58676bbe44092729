internal import AllModules
internal import ModuleKit
internal import UACore

/// All modules of this build, in order of preference.
let compiledModules: [any Module.Type] = allModules

/// The audio codecs of this build.
func compiledCodecs() -> [any AudioCodec] {
  let registry = try? ModuleRegistry(available: compiledModules, active: usualModuleNames, settings: [:])
  return registry?.codecs ?? []
}

/// Version, modules, and versions of the C libraries.
var versionText: String {
  let modules = compiledModules.map { $0.name }.joined(separator: " ")
  let libraries = compiledModules.compactMap { $0.libraryVersion }.joined(separator: ", ")
  return "apus \(apusVersion)\nmodules: \(modules)\nlibraries: \(libraries)"
}
