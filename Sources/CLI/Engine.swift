internal import ModuleKit

// What the commands call; the lead replaces this file with the real engine.

/// All modules of this build, in order of preference.
let compiledModules: [any Module.Type] = []

/// Names of their codecs, in lower case.
func compiledCodecNames() -> [String] { ["opus", "pcmu", "pcma"] }

/// Version, modules, and versions of the C libraries.
let versionText = "apus 0.1.0"

func runAgent(_ options: RunCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
func runCall(_ options: CallCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
func runDemo(_ options: DemoCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
func runModules(_ options: ModulesCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
func runLoad(_ options: LoadCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
