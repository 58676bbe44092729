internal import Handoff
package import ModuleKit

/// Shows, and tells, how loud both directions of a call are.
package struct VUMeter: Module {
  package static let name = "vumeter"
  package static let summary = "Audio filter: level bars on the terminal, level events for programs"

  package static let configKeys = [
    ConfigKey("vumeter_stderr", .bool, default: "no", help: "Bars on standard error instead of standard output")
  ]

  private let display: Locked<Display>

  package init(settings: ModuleSettings) throws(ModuleError) {
    self.init(sink: Terminal(descriptor: settings.bool("vumeter_stderr") ? 2 : 1)?.sink)
  }

  /// - Parameter sink: told, on main, of each line; nil for no display.
  package init(sink: (@Sendable (String) -> Void)?) { self.display = Locked(Display(sink: sink)) }

  package var facets: [Facet] {
    let display = self.display
    return [
      .filter(
        .mainOnly { request throws(ModuleError) in
          { () throws(ModuleError) in Meter(format: request.format, display: display) }
        }),
      Facet(.application(LevelReportsProvider(display: display))),
    ]
  }
}
