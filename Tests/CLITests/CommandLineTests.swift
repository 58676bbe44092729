internal import ArgumentParser
internal import ModuleKit
internal import Testing
internal import UACore

@testable internal import CLI

@Suite("command line")
struct CommandLineTests {
  @Test(
    "without a subcommand it is run",
    arguments: [[], ["run"], ["-f", "/tmp"], ["-f/tmp"], ["-e", "/dial sip:a@b", "-e", "/quit"], ["-v", "-s", "-4"]])
  func run(arguments: [String]) throws {
    #expect(try ApusCommand.parseAsRoot(arguments) is RunCommand)
  }

  @Test("run takes baresip's options")
  func runOptions() throws {
    let command = try RunCommand.parse(
      [
        "-f", "dir", "-e", "/dial x", "-e", "q", "-m", "g711", "-p", "sounds", "-n", "eth0", "-t", "2.5", "-v", "-s",
        "-6",
      ])
    #expect(command.folder == "dir")
    #expect(command.commands == ["/dial x", "q"])
    #expect(command.modules == ["g711"])
    #expect(command.audioPath == "sounds")
    #expect(command.netInterface == "eth0")
    #expect(command.quitAfter == 2.5)
    #expect(command.isVerbose && command.tracesSIP && command.isIPv6Only && !command.isIPv4Only)
  }

  @Test("the media options are typed")
  func mediaOptions() throws {
    let command = try DemoCommand.parse([
      "--mediaenc", "srtp-mandf", "--rxmode", "pool", "--rxmode-policy", "marshal", "--rekey-every", "500",
      "--rekey-method", "update", "--loss", "2.5", "--seconds", "3", "--rtcp-mux", "no", "--medianat", "none", "--json",
    ])
    #expect(command.media.mediaenc?.id == "srtp-mandf")
    #expect(command.media.rxmode == .pool)
    #expect(command.media.rxmodePolicy == .marshal)
    #expect(command.media.rekeyEvery == 500 && command.media.rekeyMethod == .update)
    #expect(command.media.loss == 2.5)
    #expect(command.media.seconds == 3)
    #expect(command.media.rtcpMux == false)
    #expect(command.media.medianat?.id == nil)
    #expect(command.media.json)
    #expect(try DemoCommand.parse([]).media.mediaenc == nil)
  }

  @Test("--medianat stun and turn are ice, and say so", arguments: ["stun", "turn"])
  func medianat(value: String) throws {
    let choice = try #require(try DemoCommand.parse(["--medianat", value]).media.medianat)
    #expect(choice.id == "ice")
    #expect(choice.warning == "--medianat \(value): there is no \(value) without checks: calls go with ice")
    #expect(MediaNATChoice.ice.warning == nil && MediaNATChoice.none.warning == nil)
  }

  @Test(
    "what is wrong is said in one line, with exit code 64",
    arguments: [
      (["call", "sip:x@y", "--rekey-every", "9"], "--rekey-every needs a --mediaenc other than none"),
      (["load", "--seconds", "0"], "it takes a number above 0, and 31536000 at most"),
      (["call", "sip:x@y", "--stunserver", "stun:192.0.2.1"], "--stunserver is asked by --medianat"),
      (["call", "sip:x@y", "--medianat", "ice", "--stunserver", "turm:u:p4ss@h"], "--stunserver: it takes stun:host"),
      (["demo", "--mediaenc", "rot13"], "it takes one of none, srtp, srtp-mand, srtp-mandf, dtls_srtp"),
      (["demo", "--rxmode", "fast"], "it takes one of main, thread, pool"),
      (["demo", "--rxmode-policy", "x"], "it takes one of reject, lock, marshal"),
      (["demo", "--rekey-every", "0"], "it takes a whole number from 1 to 86400000"),
      (["demo", "--rekey-method", "bye"], "it takes one of invite, update"),
      (["demo", "--rekey-every", "9", "--mediaenc", "none"], "--rekey-every needs a --mediaenc other than none"),
      (["demo", "--loss", "101"], "it takes a number from 0.0 to 100.0"),
      (["demo", "--loss", "nan"], "it takes a number from 0.0 to 100.0"),
      (["demo", "--seconds", "0"], "it takes a number"), (["demo", "--seconds", "x"], "it takes a number"),
      (["demo", "--rtcp-mux", "maybe"], "it takes yes or no"), (["demo", "--codec", "nosuch"], "has the codecs"),
      (["demo", "--medianat", "carrier"], "it takes one of none, stun, turn, ice"),
      (["call"], "Missing expected argument"),
      (["call", "sip:"], "it takes a SIP URI"),
      (["load", "--calls", "0"], "it takes a whole number from 1 to 1000000"),
      (["load", "--to", "sip:a@b", "--answer", "sip:c@d"], "--to and --answer exclude each other"),
      (["load", "sip:a@b", "--to", "sip:c@d"], "the peer is named twice, by itself and by --to"),
      (["load", "sip:a@b", "--answer", "sip:c@d"], "--answer calls nobody: leave the peer out"),
      (["load", "sip:"], "it takes a SIP URI"), (["load", "--rate", "0"], "it takes a number"),
      (["-4", "-6"], "-4 and -6 exclude each other"), (["sing"], "Unexpected argument 'sing'"),
      (["--sing"], "Unknown option '--sing'"),
    ])
  func usage(arguments: [String], sentence: String) {
    let error = #expect(throws: (any Error).self) { try ApusCommand.parseAsRoot(arguments) }
    guard let error else { return }
    let message = ApusCommand.message(for: error)
    #expect(message.contains(sentence), "\(message)")
    #expect(!message.contains("\n") && !message.contains("p4ss"), "\(message)")
    #expect(ApusCommand.exitCode(for: error).rawValue == ExitStatus.usage.rawValue)
  }

  @Test(
    "addresses that nobody can call, numbers below their range and options without a use get a sentence of their own",
    arguments: [
      (["call", "tel:+123"], "it takes a SIP URI"), (["call", "mailto:bob@192.0.2.1"], "it takes a SIP URI"),
      (["call", "sip:a@b:0"], "nobody can be reached at port 0"),
      (["call", "sip:a@b;transport=sctp"], "transport=sctp: it takes one of udp, tcp, tls, ws, wss"),
      (["load", "--calls", "-1"], "it takes a whole number from 1 to 1000000"),
      (["load", "--rate", "-1"], "it takes a number above 0"),
      (["demo", "--seconds", "-1"], "it takes a number above 0"),
      (["demo", "--loss", "-1"], "it takes a number from 0.0 to 100.0"),
      (["demo", "--rekey-every", "-1"], "it takes a whole number from 1 to 86400000"),
      (["run", "-t", "-1"], "it takes a number above 0"),
      (["load", "--answer", "sip:a@b", "--calls", "2"], "--calls means nothing with --answer"),
      (["load", "--answer", "sip:a@b", "--rate", "2"], "--rate means nothing with --answer"),
      (["load", "--single-port", "--mediaenc", "dtls_srtp"], "--single-port with dtls_srtp needs a peer"),
    ] as [([String], String)])
  func values(arguments: [String], sentence: String) { self.usage(arguments: arguments, sentence: sentence) }

  @Test(
    "a load's peer is its argument or --to, and without one there is none; each leg works for itself unless told otherwise",
    arguments: [(["bob@192.0.2.1"], "sip:bob@192.0.2.1"), (["--to", "sip:b@c"], "sip:b@c"), ([], nil)]
      as [([String], String?)])
  func load(arguments: [String], target: String?) throws {
    let command = try LoadCommand.parse(arguments)
    #expect(command.target == target)
    #expect(!command.shareEncoding && !command.skipsDecoding && command.callCount == 10 && command.callRate == 10)
    let cheap = try LoadCommand.parse(arguments + ["--share-encoding", "--no-decode", "--rate", "2.5"])
    #expect(try LoadCommand.parse(arguments + ["--single-port", "--rxmode", "main"]).singlePort && !cheap.singlePort)
    #expect(throws: (any Error).self) { try LoadCommand.parse(arguments + ["--single-port", "--rxmode", "thread"]) }
    let secured = ["--single-port", "--mediaenc", "dtls_srtp", "--rxmode", "main"]
    #expect(((try? LoadCommand.parse(arguments + secured)) == nil) == (target == nil))
    #expect(try LoadCommand.parse(arguments + secured + ["--calls", "1"]).singlePort)
    #expect(cheap.shareEncoding && cheap.skipsDecoding && cheap.rate == 2.5)
  }

  @Test("a URI may lack its scheme", arguments: [("bob@192.0.2.1", "sip:bob@192.0.2.1"), ("SIPS:x@y", "SIPS:x@y")])
  func uri(argument: String, uri: String) throws {
    #expect(try CallCommand.parse([argument]).uri == uri)
    #expect(try LoadCommand.parse(["--answer", "127.0.0.1:0"]).answer == "sip:127.0.0.1:0", "any port that is free")
  }

  @Test("the report of check holds each problem")
  func check() {
    let problems = [
      ConfigProblem(.error, file: "f", line: 3, key: "k", "is \"bad\""),
      ConfigProblem(.warning, file: "g", line: 1, key: "l", "is odd"),
    ]
    #expect(
      CheckCommand.report(problems).description
        == "{\"ok\": false, \"problems\": [{\"file\": \"f\", \"line\": 3, \"severity\": \"error\", \"key\": \"k\", "
        + "\"message\": \"is \\\"bad\\\"\"}, {\"file\": \"g\", \"line\": 1, \"severity\": \"warning\", "
        + "\"key\": \"l\", \"message\": \"is odd\"}]}")
    #expect(CheckCommand.report([]).description == "{\"ok\": true, \"problems\": []}")
  }
}
