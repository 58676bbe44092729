import AllModules
import ModuleKit
import NetBase
import UACore
import aufile

/// Files of users.
enum Files {
  static func config(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    var problems: [ConfigProblem] = []
    _ = Configuration.load(text: text, file: "config", modules: allModules, problems: &problems)
    for problem in problems { require(!"\(problem)".isEmpty, "a problem without a sentence") }
  }

  static func accounts(_ bytes: [UInt8]) {
    var problems: [ConfigProblem] = []
    let accounts = AccountsFile.parse(
      String(decoding: bytes, as: UTF8.self), file: "accounts", configuration: Configuration(), modules: allModules,
      problems: &problems)
    for account in accounts { require(!account.address.host.isEmpty, "an account without a host") }
  }

  static func contacts(_ bytes: [UInt8]) {
    var problems: [ConfigProblem] = []
    _ = ContactsFile.parse(String(decoding: bytes, as: UTF8.self), file: "contacts", problems: &problems)
  }

  static func wav(_ bytes: [UInt8]) {
    guard let file = bytes.withRawSpan({ try? WAVFile($0) }) else { return }
    require(file.samples.count <= bytes.count, "more samples than bytes")
  }
}
