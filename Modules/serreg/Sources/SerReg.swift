public import ModuleKit

/// Accounts are registered by their `prio`, one after the other; the core does it.
public struct SerReg: Module {
  public static let name = "serreg"
  public static let summary = "accounts are registered by prio: the next when the ones before have failed"

  public init(settings: ModuleSettings) throws(ModuleError) {}

  public var facets: [Facet] { [Facet(.serialRegistration)] }
}
