public import ModuleKit
internal import NetBase

/// NAPTR, SRV, A and AAAA by c-ares (RFC 3263), in a build with the trait `CAres`; without it nothing, and the core asks
/// the system for addresses.
public struct DNS: Module {
  public static let name = "dns"
  public static let summary = "names by NAPTR, SRV, A and AAAA (RFC 3263), in a build with the trait CAres"

  public init(settings: ModuleSettings) throws(ModuleError) {
    #if CAres
      try CAresLibrary.start()
    #endif
  }

  public static var libraryVersion: String? {
    #if CAres
      CAresLibrary.version
    #else
      nil
    #endif
  }

  public static var absence: String? {
    #if CAres
      nil
    #else
      "name resolver: not in this build, it needs the package trait CAres"
    #endif
  }

  public static var absentSafety: ThreadSafety? {
    #if CAres
      nil
    #else
      .concurrent
    #endif
  }

  public var facets: [Facet] {
    #if CAres
      [Facet(.nameResolver(CAresProvider()))]
    #else
      []
    #endif
  }
}
