internal import ModuleKit

/// What baresip's core has: the end of the program, and modules.
extension AgentCore {
  var programCommands: [CoreCommand] {
    [
      CoreCommand("quit", key: "q", "end every call, and the program") { [unowned self] _ in
        self.emit(.quit)
        return "Quit"
      },
      CoreCommand("insmod", "MODULE", "switch a module on; calls that stand don't change") {
        [unowned self] name throws(CommandFailure) in
        try self.load(module: name)
        return "loaded module \(Self.moduleName(name))"
      },
      CoreCommand("rmmod", "MODULE", "switch a module off; calls that stand keep it") {
        [unowned self] name throws(CommandFailure) in
        try self.unload(module: name)
        return "unloaded module \(Self.moduleName(name))"
      },
    ]
  }
}
