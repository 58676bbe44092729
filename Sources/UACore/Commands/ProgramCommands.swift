internal import ModuleKit

/// What baresip's core has: the end of the program, and modules.
extension AgentCore {
  var programCommands: [CoreCommand] {
    [
      CoreCommand("quit", key: "q", "end every call, and the program") { [unowned self] _ in
        self.emit(.quit)
        return "Quit"
      },
      CoreCommand("insmod", "MODULE", "switch a module on") { name throws(CommandFailure) in
        throw CommandFailure(
          "module \(name): modules are switched on at the start; add \"module \(name)\" to the config")
      },
      CoreCommand("rmmod", "MODULE", "switch a module off") { name throws(CommandFailure) in
        throw CommandFailure("module \(name): modules stay until the end; take its line out of the config")
      },
    ]
  }
}
