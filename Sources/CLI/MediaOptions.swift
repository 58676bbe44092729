internal import ArgumentParser
internal import ModuleKit
internal import UACore

/// A way to encrypt media, as the command line names it.
enum MediaEncryptionChoice: String, CaseIterable, Sendable {
  case none, srtp
  case srtpMandatory = "srtp-mand"
  case srtpMandatoryFeedback = "srtp-mandf"
  case dtls = "dtls_srtp"

  /// The account's word; nil for none.
  var id: String? { self == .none ? nil : self.rawValue }
}

/// A way through NATs, as the command line names it.
enum MediaNATChoice: String, CaseIterable, Sendable {
  case none, stun, turn, ice

  /// The account's word; nil for none.
  var id: String? { self == .none ? nil : Account.natHeirs[self.rawValue] ?? self.rawValue }

  /// What there is to say before a call goes with another way than the named one.
  var warning: String? {
    guard let heir = Account.natHeirs[self.rawValue] else { return nil }
    return "--medianat \(self.rawValue): there is no \(self.rawValue) without checks: calls go with \(heir)"
  }
}

/// What `call`, `demo` and `load` share. Nil is the command's own default.
struct MediaOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Encryption: none, srtp, srtp-mand, srtp-mandf, dtls_srtp; none by default, in demo dtls_srtp.",
      valueName: "method"),
    transform: Parse.choice)
  var mediaenc: MediaEncryptionChoice?

  @Option(
    help: ArgumentHelp("The only codec to offer, for example opus, pcmu; all by default.", valueName: "codec"),
    transform: Parse.codec)
  var codec: CodecPreference?

  @Option(
    help: ArgumentHelp(
      "Where media is received: main, thread, pool; main by default, in demo thread, in load pool.", valueName: "mode"),
    transform: Parse.choice)
  var rxmode: RxMode?

  @Option(
    help: ArgumentHelp(
      "For modules that promise too little: reject, lock, marshal; lock by default.", valueName: "policy"),
    transform: Parse.choice)
  var rxmodePolicy: AdmissionPolicy?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Re-key so often; the next one waits until the last is in use both ways.", valueName: "milliseconds"),
    transform: Parse.integer(1...86_400_000))
  var rekeyEvery: Int?

  @Option(
    help: ArgumentHelp("What offers new keys: invite, update; invite by default.", valueName: "method"),
    transform: Parse.choice)
  var rekeyMethod: RekeyMethod?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Packets to drop at random before the socket.", valueName: "percent"),
    transform: Parse.decimal(0...100))
  var loss: Double = 0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long a call lasts; 10 by default, in call until somebody hangs up.", valueName: "number"),
    transform: Parse.positive)
  var seconds: Double?

  @Option(
    help: ArgumentHelp(
      "Whether RTCP shares the RTP socket; no by default; in demo, and in load without a peer, yes.",
      valueName: "yes|no"), transform: Parse.yesOrNo)
  var rtcpMux: Bool?

  @Option(
    help: ArgumentHelp("NAT traversal: none, stun, turn, ice; none by default.", valueName: "method"),
    transform: Parse.choice)
  var medianat: MediaNATChoice?

  @Option(
    help: ArgumentHelp(
      "Whom --medianat asks: stun:host[:port], turn:user:password@host[:port]; repeatable.", valueName: "uri"))
  var stunserver: [String] = []

  /// Read only now: what the parser says of a value that it refuses would show the password.
  var natServers: [STUNServerURI] { self.stunserver.compactMap { try? STUNServerURI($0) } }

  @Flag(help: "Print one JSON object on standard output, and nothing else there.")
  var json = false

  func validate() throws {
    if let module = self.medianat?.id, !compiledModules.contains(where: { $0.name == module }) {
      throw ValidationError("--medianat \(module) is not possible: this apus has no module \(module)")
    }
    if !self.stunserver.isEmpty, self.medianat?.id == nil {
      throw ValidationError("--stunserver is asked by --medianat, for example --medianat ice")
    }
    for server in self.stunserver {
      do throws(STUNServerURI.Refusal) { _ = try STUNServerURI(server) } catch {
        throw ValidationError("--stunserver: \(error.message)")
      }
    }
  }

  /// - Parameter usual: the encryption without `--mediaenc`.
  func validate(usual: MediaEncryptionChoice) throws {
    if self.rekeyEvery != nil, (self.mediaenc ?? usual) == .none {
      throw ValidationError("--rekey-every needs a --mediaenc other than none")
    }
  }
}
