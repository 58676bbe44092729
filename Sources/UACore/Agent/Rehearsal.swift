internal import ModuleKit

/// What an agent's start would meet: its modules are made, and nothing is opened.
package struct Rehearsal {
  /// What the modules or, by its place among them, one of the accounts is refused for.
  package private(set) var refusals: [(account: Int?, error: any Error)] = []
  /// What would be warned of, each with a key first.
  package private(set) var warnings: [String] = []
  /// Whether a codec is active, as far as it came to that.
  package private(set) var hasCodec = true

  /// The modules can't be made.
  init(_ error: any Error) { self.refusals = [(nil, error)] }

  init(_ core: AgentCore, accounts: [CallSettings]) {
    self.hasCodec = !core.registry.codecs.isEmpty
    for (index, account) in accounts.enumerated() {
      do { try core.validate(account) } catch { self.refusals.append((index, error)) }
    }
    let configuration = core.settings.configuration
    let settings = SIPTransportSettings(
      listen: core.settings.listen, typeOfService: configuration.sipTOS, security: configuration.sipSecurity)
    for provider in AgentCore.transportProviders(core.settings, core.registry) {
      do { try provider.rehearse(settings) } catch { self.refuse(error) }
    }
    for case .application(let provider) in core.registry.facets.map(\.facet.body) {
      do { try provider.rehearse() } catch { self.refuse(error) }
      if let warning = provider.warning { self.warnings.append(warning) }
    }
  }

  /// What several modules say of one setting is said once.
  private mutating func refuse(_ error: ModuleError) {
    let isKnown = self.refusals.contains { ($0.error as? ModuleError)?.message == error.message }
    if !isKnown { self.refusals.append((nil, error)) }
  }
}
