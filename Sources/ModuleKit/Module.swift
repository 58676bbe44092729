/// A module: compiled in, listed in `AllModules`, switched on by a `module` line of the config.
///
/// One instance per user agent, made on its main loop. The name is also the folder's and the config's.
public protocol Module: Sendable {
  /// As in the config file.
  static var name: String { get }
  /// One line for `apus modules`.
  static var summary: String { get }
  /// The settings that the module understands.
  static var configKeys: [ConfigKey] { get }
  /// The C library below the module, as it names itself; nil for none.
  static var libraryVersion: String? { get }
  /// What this build's module lacks, and which build has it, as `apus modules` says it; nil when nothing is missing.
  static var absence: String? { get }
  /// What that would promise; nil when nothing is missing.
  static var absentSafety: ThreadSafety? { get }
  /// The devices that the module's library names on this machine, as `apus modules` lists them; whether one can be opened,
  /// only opening it shows.
  static var devices: [String] { get }
  /// - Throws: when a setting is impossible; what was acquired by then is released.
  init(settings: ModuleSettings) throws(ModuleError)
  /// What the module brings, in the order in which it is preferred.
  var facets: [Facet] { get }
}

extension Module {
  /// No settings.
  public static var configKeys: [ConfigKey] { [] }
  /// None to list.
  public static var devices: [String] { [] }
  /// Nothing is missing.
  public static var absence: String? { nil }
  /// Nothing is missing.
  public static var absentSafety: ThreadSafety? { nil }
  /// No C library.
  public static var libraryVersion: String? { nil }
}
