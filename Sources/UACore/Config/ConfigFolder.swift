internal import Glibc
package import ModuleKit

/// Why a file of a config folder can't be read or written.
package struct ConfigFileError: Error, Hashable, CustomStringConvertible {
  package let path: String
  /// In the system's words.
  package let reason: String
  /// Whether the file, or its folder, isn't there.
  package let isMissing: Bool

  init(path: String, code: Int32) {
    self.path = path
    self.reason = unsafe String(cString: strerror(code))
    self.isMissing = code == ENOENT || code == ENOTDIR
  }

  /// Why a file can't be written, told without making it; nil when it can.
  package init?(writing path: String) {
    var status = stat()
    let isThere = unsafe stat(path, &status) == 0
    if path.isEmpty || isThere && status.st_mode & S_IFMT == S_IFDIR {
      self.init(path: path, code: path.isEmpty ? ENOENT : EISDIR)
      return
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    guard unsafe access(isThere ? path : folder, isThere ? W_OK : W_OK | X_OK) != 0 else { return nil }
    self.init(path: path, code: errno)
  }

  package var description: String { "\(self.path): \(self.reason)" }
}

/// A folder with a `config`, an `accounts`, a `contacts` and a `uuid` file, read and validated.
package struct ConfigFolder: Sendable {
  package let path: String
  package var configuration: Configuration
  package var accounts: [Account]
  package var contacts: [Contact]
  /// What the file `uuid` holds; nil where there is none, or none that can be used.
  var instanceID: String?

  /// `~/.apus`; who has no HOME, as a service of the system, has one in the user database.
  package static var defaultPath: String {
    if let home = unsafe getenv("HOME"), unsafe home.pointee != 0 { return unsafe String(cString: home) + "/.apus" }
    guard let user = unsafe getpwuid(getuid()), let home = unsafe user.pointee.pw_dir else { return ".apus" }
    return unsafe String(cString: home) + "/.apus"
  }

  /// Whether there is a config that can be read.
  package static func isThere(_ path: String) -> Bool { unsafe access("\(path)/config", R_OK) == 0 }

  /// Reads all four files and reports every problem; all but `config` may be absent.
  ///
  /// A sound file that a `audio_source` names without a leading slash is looked for in the folder first, then in
  /// `audio_path`, then in the working directory; one that is in none of them is taken to be missing in the last folder
  /// that was named.
  ///
  /// - Parameter audioPath: takes the place of the config's `audio_path` (`-p`).
  /// - Throws: when there is no readable `config`.
  package static func load(
    path: String, modules: [any Module.Type], preloaded: [String] = [], audioPath: String? = nil,
    problems: inout [ConfigProblem]
  ) throws(ConfigFileError) -> ConfigFolder {
    let configFile = "\(path)/config"
    let text = try readText(configFile)
    var configuration = Configuration.load(
      text: text, file: configFile, modules: modules, preloaded: preloaded, problems: &problems)
    let accountsFile = "\(path)/accounts"
    var accounts: [Account] = []
    if let text = try readText(ifPresent: accountsFile) {
      if let warning = Self.modeWarning(accountsFile, text) { problems.append(warning) }
      accounts = AccountsFile.parse(
        text, file: accountsFile, configuration: configuration, modules: modules, problems: &problems)
    } else {
      problems.append(
        ConfigProblem(.warning, file: accountsFile, line: 0, key: "account", "there is no such file, so no account"))
    }
    let contactsFile = "\(path)/contacts"
    let contacts =
      try readText(ifPresent: contactsFile).map {
        ContactsFile.parse($0, file: contactsFile, problems: &problems)
      } ?? []
    let instanceID = readIdentifier("\(path)/uuid", problems: &problems)
    if let audioPath { configuration.override(audioPath: audioPath) }
    let places = [path] + (configuration.audioPath.map { [$0] } ?? [])
    configuration.audioSource = configuration.audioSource?.found(in: places)
    configuration.videoSource = configuration.videoSource?.found(in: places)
    for index in accounts.indices {
      accounts[index].audioSource = accounts[index].audioSource?.found(in: places)
      accounts[index].videoSource = accounts[index].videoSource?.found(in: places)
    }
    return ConfigFolder(
      path: path, configuration: configuration, accounts: accounts, contacts: contacts, instanceID: instanceID)
  }

  /// Makes the folder, and of `config`, `accounts` and `contacts` those that it lacks; only their owner can read the
  /// accounts.
  package static func create(at path: String, modules: [any Module.Type]) throws(ConfigFileError) {
    if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw ConfigFileError(path: path, code: errno) }
    try write(DefaultConfig.text(modules: modules), to: "\(path)/config", mode: 0o644)
    try write(DefaultConfig.accounts, to: "\(path)/accounts", mode: 0o600)
    try write(DefaultConfig.contacts, to: "\(path)/contacts", mode: 0o644)
  }

  /// Passwords that every user of the machine can read are worth a warning.
  private static func modeWarning(_ path: String, _ text: String) -> ConfigProblem? {
    var status = stat()
    guard let line = ConfigLines(text).first(where: { Self.hasPassword($0.content) })?.line,
      unsafe stat(path, &status) == 0, status.st_mode & 0o007 != 0
    else { return nil }
    return ConfigProblem(
      .warning, file: path, line: line, key: "account",
      "every user of this machine can read the passwords in it: chmod 600 \(path)")
  }

  private static func hasPassword(_ account: Substring) -> Bool {
    let server = account.firstRange(of: "stunserver=").map { account[$0.upperBound...].prefix { $0 != ";" } }
    return ["auth_pass=", "uas_pass=", "stunpass="].contains { account.contains($0) } || server?.contains("@") == true
  }

  static func readText(ifPresent path: String) throws(ConfigFileError) -> String? {
    do { return try readText(path) } catch {
      if error.isMissing { return nil }
      throw error
    }
  }

  /// The file's text; bytes that aren't UTF-8 are replaced.
  package static func readText(_ path: String) throws(ConfigFileError) -> String {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ConfigFileError(path: path, code: errno) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw ConfigFileError(path: path, code: errno) }
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += block[..<count]
    }
  }

  /// Writes a file that isn't there yet; one that is stays as it is.
  static func write(_ text: String, to path: String, mode: mode_t) throws(ConfigFileError) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else {
      if errno == EEXIST { return }
      throw ConfigFileError(path: path, code: errno)
    }
    defer { close(file) }
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes[written...].withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw ConfigFileError(path: path, code: errno) }
      written += count
    }
  }
}

extension AudioDevice {
  /// Whether the device is a file's path.
  var isFile: Bool { self.driver == "aufile" || self.driver == "ivf" }

  /// With the device's path completed, when it names a file (so has a dot) that exists in one of the folders.
  fileprivate func resolved(in folders: [String]) -> AudioDevice {
    guard self.device.contains("."), !self.device.hasPrefix("/") else { return self }
    for folder in folders {
      let path = "\(folder)/\(self.device)"
      if unsafe access(path, R_OK) == 0 { return AudioDevice(driver: self.driver, device: path) }
    }
    return self
  }

  /// The same; a file that is nowhere has its path in the last folder, so that whoever misses it says where.
  fileprivate func found(in folders: [String]) -> AudioDevice {
    let device = self.resolved(in: folders)
    guard device.isFile, !device.device.isEmpty, !device.device.hasPrefix("/"), let folder = folders.last,
      unsafe access(device.device, R_OK) != 0
    else { return device }
    return AudioDevice(driver: device.driver, device: "\(folder)/\(device.device)")
  }
}
