import ModuleKit
import Testing

@testable import serreg

@Suite("serreg") struct SerRegTests {
  @Test("the module brings one facet, for the main loop, and has no settings of its own")
  func facets() throws {
    let facets = try SerReg(settings: ModuleSettings(keys: [])).facets
    #expect(facets.map(\.kind) == ["order of registration"] && SerReg.configKeys.isEmpty)
    #expect(facets[0].safety == .mainOnly && !facets[0].isOnMediaPath)
  }
}
