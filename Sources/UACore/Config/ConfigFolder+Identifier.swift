internal import Glibc

/// The file `uuid`.
extension ConfigFolder {
  /// Names the agent to registrars, the same at each start (RFC 5626 §4.1): where there is no file `uuid` yet it is
  /// made. In a folder that can't be written, and beside a file that holds something else, it is for this start only.
  package func persistentInstanceID() -> String {
    if let instanceID { return instanceID }
    var system = SystemRandomNumberGenerator()
    let made = InstanceIdentifier.make(system.next(), system.next())
    return Self.keep(made, at: "\(self.path)/uuid") ?? made
  }

  /// Nil where there is no file, or an empty one. Only registrars need an identifier, so nothing here stops a start.
  static func readIdentifier(_ path: String, problems: inout [ConfigProblem]) -> String? {
    let remedy = "a new one is made for this start"
    do throws(ConfigFileError) {
      guard let text = try readText(ifPresent: path), !text.isEmpty else { return nil }
      if let identifier = InstanceIdentifier.read(text) { return identifier }
      problems.append(
        ConfigLocation(file: path, line: 1).warning("uuid", "it takes one line with a UUID; \(remedy)"))
    } catch {
      problems.append(ConfigLocation(file: path, line: 0).warning("uuid", "\(error.reason); \(remedy)"))
    }
    return nil
  }

  /// Writes the identifier where there is none yet. The file appears whole or not at all: half of one, from a disk that
  /// is full, would be there at every start after this.
  ///
  /// - Returns: the one that another start has written meanwhile.
  private static func keep(_ identifier: String, at path: String) -> String? {
    let draft = "\(path).\(identifier)"
    defer { unsafe unlink(draft) }
    // Without a line end, which baresip would take for a part of it.
    do { try write(identifier, to: draft, mode: 0o644) } catch { return nil }
    var status = stat()
    if unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size == 0 {
      unsafe unlink(path)
    }
    // Unlike `rename` it replaces nothing.
    guard unsafe link(draft, path) != 0, errno == EEXIST else { return nil }
    return (try? readText(path)).flatMap(InstanceIdentifier.read)
  }
}
