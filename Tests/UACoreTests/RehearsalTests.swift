internal import AllModules
internal import Glibc
internal import ModuleKit
internal import Testing

@testable internal import UACore

/// What `apus check` finds besides what the files say wrongly.
@Suite("rehearsals of config folders") struct RehearsalTests {
  @Test("a tone's file that is not there is named by the check, and stops nothing")
  func missingTone() async throws {
    let path = try TemporaryFolder()
    try path.write(
      "audio_path \(path.path)\nring_aufile here.wav\nbusy_aufile nothere.wav\nerror_aufile none\n", to: "config")
    try path.write("x", to: "here.wav")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    let found = await folder.rehearse(modules: [])
    #expect(
      found.filter { $0.key.hasSuffix("_aufile") }.map(\.description) == [
        "\(path.path)/config:3: warning: busy_aufile: \(path.path)/nothere.wav: No such file or directory; "
          + "a tone is heard instead"
      ])
  }

  @Test("files that would stop a module as it starts are found without starting it, each by its key")
  func rehearsedFiles() async throws {
    let path = try TemporaryFolder()
    try path.write("this is no certificate", to: "bad.pem")
    let config = """
      module g711
      module sip_tls
      sip_certificate \(path.path)/bad.pem
      module sip_wss
      module whip
      whip_certificate \(path.path)/bad.pem
      module httpd
      http_listen 0.0.0.0:8000
      module ctrl_tcp
      ctrl_tcp_listen 0.0.0.0:4444
      ring_aufile nothere.wav
      """
    try path.write(config, to: "config")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: allModules, problems: &problems)
    let found = await folder.rehearse(modules: allModules)
    #expect(found.filter { $0.severity == .error }.map(\.line) == [3, 6], "\(found)")
    #expect(found.filter { $0.severity == .error }.map(\.key) == ["sip_certificate", "whip_certificate"])
    #expect(found.filter { $0.severity == .warning }.map(\.line) == [11, 8, 10], "\(found)")
    // What the files themselves say wrongly hides nothing that needs no module.
    #expect(await folder.rehearse(modules: allModules, hasErrors: true).map(\.line) == [11])
  }

  @Test("a recording in the file that is played is an error, by whatever name")
  func recordsWhatIsPlayed() throws {
    let path = try TemporaryFolder()
    try path.write("x", to: "a.wav")
    try #require(unsafe symlink("\(path.path)/a.wav", "\(path.path)/b.wav") == 0)
    for (player, count) in [("a", 1), ("b", 1), ("c", 0)] {
      let devices = "audio_source aufile,\(path.path)/a.wav\naudio_player aufile,\(path.path)/\(player).wav\n"
      try path.write("module aufile\n\(devices)", to: "config")
      var problems: [ConfigProblem] = []
      let folder = try ConfigFolder.load(path: path.path, modules: allModules, problems: &problems)
      #expect(folder.lacking.map(\.key) == [String](repeating: "audio_player", count: count))
    }
    // What one account records another may play.
    try path.write("module aufile\n", to: "config")
    try path.write(
      "<sip:a@x>;audio_source=aufile,\(path.path)/a.wav\n<sip:b@x>;audio_player=aufile,\(path.path)/a.wav\n",
      to: "accounts")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: allModules, problems: &problems)
    #expect(folder.lacking.isEmpty)
  }
}
