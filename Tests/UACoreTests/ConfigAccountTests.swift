internal import ModuleKit
internal import SIPStack
internal import Testing

@testable internal import UACore

@Suite("accounts and contacts")
struct ConfigAccountTests {
  private func parse(_ text: String, active: [String] = ["udp", "sip_udp", "srtp", "dtls_srtp", "aufile", "opus"])
    -> ([Account], [String])
  {
    var configuration = Configuration()
    configuration.activeModules = active
    var problems: [ConfigProblem] = []
    let accounts = AccountsFile.parse(
      text, file: "accounts", configuration: configuration, modules: ConfigModules.all, problems: &problems)
    return (accounts, problems.map(\.description))
  }

  @Test("a line without parameters has baresip's defaults")
  func defaults() throws {
    let (accounts, problems) = self.parse("<sip:alice@office>")
    #expect(problems.isEmpty)
    let account = try #require(accounts.first)
    #expect(account.displayName == nil)
    #expect(account.address.aor == "sip:alice@office")
    #expect(account.registrationInterval == nil)
    #expect(account.answerMode == .manual)
    #expect(account.dtmfMode == .rtpevent)
    #expect(account.callTransfer)
    #expect(!account.rtcpMux)
    #expect(account.packetTime == 20)
    #expect(account.mediaEncryption == nil)
    #expect(account.audioCodecs.isEmpty && account.videoCodecs.isEmpty)
    #expect(account.videoSource == nil && account.videoDisplay == nil)
    #expect(account.sipAutoanswerBeep && !account.opensPinhole && account.sourcePort == nil)
  }

  @Test("what stands in the address does nothing there, which is no small thing of encryption: it is an error")
  func inTheBrackets() {
    for parameter in ["mediaenc=dtls_srtp", "MediaEnc=srtp", "auth_pass=swordfish", "regint=0"] {
      let (accounts, problems) = self.parse("<sip:alice@office;transport=udp;\(parameter)>;answermode=auto")
      #expect(accounts.isEmpty && problems.count == 1, "\(problems)")
      #expect(
        problems.first?.contains("write it after the bracket") == true && !problems.joined().contains("swordfish"))
    }
  }

  @Test(
    "a backslash of a password is its own, as with baresip; before a quote it keeps that in the password",
    arguments: [
      (#";auth_pass="pa\ss\\w""#, #"pa\ss\\w"#), (#";auth_pass=pa\ss"#, #"pa\ss"#),
      (#";auth_pass="a\"b;c""#, #"a"b;c"#),
      (#";auth_pass="end\\""#, #"end\\"#),
    ])
  func backslashes(parameter: String, password: String) throws {
    let (accounts, problems) = self.parse("<sip:alice@office>;auth_user=a\(parameter)")
    #expect(problems.isEmpty)
    #expect(try #require(accounts.first).authPassword == Password(password))
  }

  @Test("an account's transport, and its proxy's, is one of sip_transports")
  func transports() {
    var configuration = Configuration()
    configuration.activeModules = ["sip_udp", "sip_tcp", "sip_tls"]
    configuration.sipTransports = [.udp, .tcp]
    for (line, isFine) in [
      ("<sip:a@b>", true), ("<sip:a@b;transport=tcp>", true), ("<sip:a@b;transport=tls>", false), ("<sips:a@b>", false),
      ("<sip:a@b>;outbound=\"sip:p;transport=tcp\"", true), ("<sip:a@b>;outbound=\"sip:p;transport=tls\"", false),
      ("<sip:a@b>;outbound2=sips:p", false), ("<sip:a@b>;outbound=\"sips:p;transport=tcp\"", false),
    ] {
      var problems: [ConfigProblem] = []
      let account = AccountsFile.parse(
        line: line, configuration: configuration, modules: ConfigModules.all, problems: &problems)
      #expect((account != nil) == isFine, "\(line): \(problems)")
      #expect(isFine || problems.first?.message.contains("sip_transports") == true)
    }
    // Of sips, TCP is what TLS is on.
    configuration.sipTransports = [.udp, .tls]
    for line in ["<sips:a@b;transport=tcp>", "<sip:a@b>;outbound=\"sips:p;transport=tcp\""] {
      var problems: [ConfigProblem] = []
      let account = AccountsFile.parse(
        line: line, configuration: configuration, modules: ConfigModules.all, problems: &problems)
      #expect(account != nil, "\(problems)")
    }
  }

  @Test("a call has the account's devices, and the config's where the account names none")
  func devices() throws {
    let (accounts, _) = self.parse("<sip:a@b>\n<sip:c@d>;video_codecs=vp8;video_source=aufile,x;video_display=aufile,y")
    var configuration = Configuration()
    configuration.videoSource = VideoDevice("vidbridge,one")
    configuration.videoDisplay = VideoDevice("vidbridge,two")
    let settings = accounts.map { CallSettings(account: $0, configuration: configuration) }
    #expect(settings.map { $0.videoSource?.description } == ["vidbridge,one", "aufile,x"])
    #expect(settings.map { $0.videoDisplay?.description } == ["vidbridge,two", "aufile,y"])
    #expect(settings.map(\.videoCodecs) == [[], ["vp8"]])
  }

  @Test("test_account: every parameter that Apus acts on is read")
  func everyParameter() throws {
    let (accounts, problems) = self.parse(
      """
      # accounts
      "Alice \\"A\\" Ä" <sip:alice@[2001:db8::1]:5070;transport=udp;lr>;regint=60;auth_user=al;auth_pass="p;w d"\
      ;outbound="sip:one.example.com;transport=udp";outbound2=sip:two.example.com;answermode=AUTO;answerdelay=250\
      ;dtmfmode=info;call_transfer=no;sip_autoanswer=yes;sip_autoredirect=yes;mediaenc=srtp-mand;rtcp_mux=yes;ptime=40\
      ;autelev_pt=99;audio_codecs=opus/48000/2,PCMU;audio_source=aufile,"/tmp/a b.wav";audio_player=aufile,out.wav\
      ;video_codecs="h264, VP8";video_source=aufile,film.ivf;video_display=aufile;extra=x,y;prio=3;fbregint=90\
      ;sip_autoanswer_beep=off;natpinhole=yes;tcpsrcport=5070 # a comment
      """)
    #expect(problems.isEmpty)
    let account = try #require(accounts.first)
    #expect(account.displayName == "Alice \"A\" Ä")
    #expect(account.address.user == "alice")
    #expect(account.address.host == "[2001:db8::1]")
    #expect(account.address.port == 5070)
    #expect(account.address.transport == "udp")
    #expect(account.address.description == "sip:alice@[2001:db8::1]:5070;transport=udp;lr")
    #expect(account.registrationInterval == 60)
    #expect(account.authUser == "al")
    #expect(account.authPassword?.unredacted == "p;w d")
    #expect(account.outbound == ["sip:one.example.com;transport=udp", "sip:two.example.com"])
    #expect(account.answerMode == .auto)
    #expect(account.answerDelay == 250)
    #expect(account.dtmfMode == .info)
    #expect(!account.callTransfer)
    #expect(account.sipAutoanswer)
    #expect(account.sipAutoredirect)
    #expect(account.mediaEncryption == "srtp-mand")
    #expect(account.rtcpMux)
    #expect(account.packetTime == 40)
    #expect(account.telephoneEventPayloadType == 99)
    #expect(
      account.audioCodecs == [
        CodecPreference(name: "opus", clockRate: 48000, channels: 2), CodecPreference(name: "PCMU"),
      ])
    #expect(account.audioSource == AudioDevice(driver: "aufile", device: "/tmp/a b.wav"))
    #expect(account.audioPlayer == AudioDevice(driver: "aufile", device: "out.wav"))
    #expect(account.videoCodecs == ["h264", "VP8"])
    #expect(account.videoSource == VideoDevice(driver: "aufile", device: "film.ivf"))
    #expect(account.videoDisplay == VideoDevice(driver: "aufile", device: ""))
    #expect(account.extra == "x,y")
    #expect(account.priority == 3 && account.fallbackInterval == 90)
    #expect(!account.sipAutoanswerBeep && account.opensPinhole && account.sourcePort == 5070)
  }

  @Test(
    "lines in the forms of baresip's manual are accepted",
    arguments: [
      "<sip:user@example.com>;auth_pass=secret", "<sip:user@example.com;transport=udp>;auth_pass=secret",
      "<sip:user@192.0.2.4>;auth_pass=secret",
      "<sip:user@[2001:db8:0:16:216:6fff:fe91:614c]:5070>;auth_pass=secret", "<sip:alice@office>;regint=0",
      "Alice <sip:alice@office>;regint=0", "sip:alice@office;regint=0", "\"\" <sip:alice@office>",
      "<sip:user@example.com>;audio_codecs=opus/48000/2,pcma;auth_pass=x",
      "<sip:user@example.com> ; regint = 0 ; 100rel = no",
      "<sips:user@example.com>;outbound=\"sip:example.com;transport=udp\";mediaenc=dtls_srtp;auth_pass=pass",
      "<sip:192.0.2.4:5062>;regint=0;pubint=0;prio=0;inreq_allowed=yes;check_origin=yes;catchall=no;mwi=no",
    ])
  func manual(line: String) {
    let (accounts, problems) = self.parse(line)
    #expect(problems.isEmpty)
    #expect(accounts.count == 1)
  }

  @Test(
    "what baresip has and Apus doesn't is a warning, and the account is kept",
    arguments: [
      ("<sip:u@h>;medianat=ice", "medianat: ice: this module of baresip is not part of Apus; calls go without it"),
      (
        "<sip:u@h>;medianat=turn",
        "medianat: turn is done by ice, which is not switched on; calls go without it"
      ),
      (
        "<sip:u@h>;video_display=sdl,default",
        "video_display: sdl: this module of baresip is not part of Apus; calls go without it"
      ),
      (
        "<sip:u@h;transport=tls>",
        "transport: this Apus has no module sip_tls: the account can't be reached over tls"
      ),
      (
        "<sip:u:hunter2@h>",
        "account: a password in the address is not used: write ;auth_pass=PASSWORD after it"
      ),
      (
        "<sip:h>",
        "account: the address has no user to register: write <sip:user@host>, or ;regint=0 to register nobody"
      ),
      (
        "<sip:u@h>;medianat=natpmp",
        "medianat: natpmp: this module of baresip is not part of Apus; calls go without it"
      ),
      ("<sip:u@h>;ptime=20;ptime=40", "ptime: it stands twice in the line; this one is ignored"),
      (
        "<sip:u@h>;audio_source=alsa,default",
        "audio_source: alsa: this module of baresip is not part of Apus; calls go without it"
      ),
    ])
  func warnings(line: String, sentence: String) {
    let (accounts, problems) = self.parse(line)
    #expect(problems == ["accounts:1: warning: \(sentence)"])
    #expect(accounts.count == 1)
  }

  @Test("baresip's medianat=stun and turn are ice, with a warning", arguments: ["stun", "turn", "TURN"])
  func stunAndTurn(value: String) {
    let id = value.lowercased()
    let (accounts, problems) = self.parse(
      "<sip:u@h>;medianat=\(value);stunserver=\(id):192.0.2.1", active: ["udp", "sip_udp", "ice"])
    #expect(
      problems == [
        "accounts:1: warning: medianat: there is no \(id) without checks: calls go with ice, "
          + "and ask the same stunserver"
      ])
    #expect(accounts.first?.mediaNAT == "ice" && accounts.first?.stunServers.count == 1)
  }

  @Test(
    "what is wrong is an error, and the line gives no account",
    arguments: [
      (
        "<sip:u@h>;regintt=0",
        "regintt: neither Apus nor baresip has such an account parameter; did you mean \"regint\"?"
      ),
      ("<sip:u@h>;regint=-1", "regint: \"-1\" is not allowed: it takes a whole number from 0 to 31536000"),
      ("<sip:u@h>;regint", "regint: it has no value: it takes a whole number from 0 to 31536000"),
      ("<sip:u@h>;outbound", "outbound: it has no value: outbound proxy, a SIP URI in quotes"),
      ("<sip:u@h>;uas_user=x", "uas_user: it needs uas_pass beside it: without it everybody may call"),
      ("<sip:u@h>;uas_pass=x", "uas_pass: it needs uas_user beside it: without it everybody may call"),
      ("<sip:u@h>;transport=tls", "transport: it belongs inside the brackets: <sip:user@host;transport=tcp>"),
      ("sip:u@h;lr", "lr: it belongs inside the brackets: <sip:user@host;lr>"),
      (
        "<sip:u@h>;auth_pass=x;transport=tcp",
        "transport: it belongs inside the brackets: <sip:user@host;transport=tcp>"
      ),
      (
        "<sip:u@h>;answermode=never",
        "answermode: \"never\" is not allowed: it takes one of manual, early, early-audio, early-video, auto"
      ),
      (
        "<sip:u@h>;mediaenc=dtls-srtp",
        "mediaenc: \"dtls-srtp\" is not allowed: it takes one of dtls_srtp, srtp, srtp-mand, srtp-mandf, none; "
          + "did you mean \"dtls_srtp\"?"
      ),
      (
        "<sip:u@h>;mediaenc=zrtp",
        "mediaenc: Apus has no zrtp: it takes one of dtls_srtp, srtp, srtp-mand, srtp-mandf, none"
      ),
      (
        "<sip:u@h>;medianat=ise",
        "medianat: \"ise\" is not allowed: it takes one of ice, stun, turn, none; did you mean \"ice\"?"
      ),
      ("<sip:u@h>;rtcp_mux=maybe", "rtcp_mux: \"maybe\" is not allowed: it takes yes or no"),
      (
        "<sip:u@h>;audio_codecs=opus/x",
        "audio_codecs: \"opus/x\" is not allowed: a codec is NAME, NAME/RATE or NAME/RATE/CHANNELS"
      ),
      (
        "<sip:u@h>;video_codecs=vp8,h264/90000",
        "video_codecs: \"h264/90000\" is not allowed: a video codec is a NAME, for example VP8"
      ),
      (
        "<sip:u@h>;video_source=,x", "video_source: \",x\" is not allowed: it takes MODULE,DEVICE"
      ),
      (
        "<sip:u@h>;audio_source=ausine,440",
        "audio_source: the module ausine is not switched on: add the line \"module ausine\" to the config"
      ),
      ("<sip:u@h;transport=udpp>", "transport: \"udpp\" is no transport: it takes one of udp, tcp, tls, ws, wss"),
      (
        "<sip:u@h>;outbound=\"sip:p;transport=foo\"",
        "outbound: \"foo\" is no transport: it takes one of udp, tcp, tls, ws, wss"
      ),
      ("<tel:+123>", "account: the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"),
      ("<sip:u@>", "account: the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"),
      ("<sip:u@h:99999>", "account: the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"),
      (
        "<sip:u@h;regint=0",
        "account: the closing \">\" is missing. A line is \"Name\" <sip:user@host>;parameter=value"
      ),
      (
        "<sip:u@h> regint=0",
        "account: text that is neither a \";parameter\" nor a comment: quote values with blanks. "
          + "A line is \"Name\" <sip:user@host>;parameter=value"
      ),
      (
        "<sip:u@h>;auth_pass=\"hunter2",
        "account: the closing quote of \"auth_pass\" is missing. A line is \"Name\" <sip:user@host>;parameter=value"
      ),
      ("<sip:u@h>;auth_pass=x;lr", "lr: it belongs inside the brackets: <sip:user@host;lr>"),
      (
        "<sip:u@h>;outbound=proxy",
        "outbound: it takes a SIP URI, in quotes when it has parameters: \"sip:host;transport=udp\""
      ),
      (
        "<sip:u@h>;outbound=\"sip:proxy.example.com; lr\"",
        "outbound: it takes a SIP URI, in quotes when it has parameters: \"sip:host;transport=udp\""
      ),
      (
        "<sip:u@[fe80::1%eth0]>",
        "account: the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"
      ),
    ])
  func errors(line: String, sentence: String) {
    let (accounts, problems) = self.parse(line)
    #expect(problems == ["accounts:1: error: \(sentence)"])
    #expect(accounts.isEmpty)
  }

  @Test(
    "what may be half of a password that is not quoted is an error that does not show it",
    arguments: ["hun;ter2", "hun;ter;2", "x;x-colour=red", "\"x\"y;x-colour=red"])
  func halfPassword(value: String) {
    let (accounts, problems) = self.parse("<sip:u@h>;auth_pass=\(value)")
    #expect(
      problems == [
        "accounts:1: error: auth_pass: what follows it is no parameter that is known: quote a password that has a ; in "
          + "it, auth_pass=\"…\""
      ])
    #expect(accounts.isEmpty)
  }

  @Test(
    "what other programs wrote beside an account is passed over, with a warning",
    arguments: ["<sip:u@h>;x-colour=red;regint=60", "<sip:u@h>;auth_pass=\"x;y\";x-colour=red;regint=60"])
  func foreignParameter(line: String) {
    let (accounts, problems) = self.parse(line)
    #expect(accounts.map(\.registrationInterval) == [60])
    #expect(
      problems == ["accounts:1: warning: x-colour: neither Apus nor baresip has such an account parameter"])
  }

  @Test("a user name for the digest without a password is a warning: nobody is asked for it")
  func noPassword() {
    let (accounts, problems) = self.parse("<sip:u@h>;auth_user=x\n<sip:v@h>;auth_user=y;auth_pass=z\n<sip:w@h>")
    #expect(accounts.count == 3)
    #expect(
      problems == [
        "accounts:1: warning: auth_user: it needs ;auth_pass=PASSWORD beside it: nobody is asked for the password at "
          + "the start"
      ])
  }

  @Test("encryption whose module is off is an error: nothing goes out in the clear by mistake")
  func encryptionOff() {
    let (accounts, problems) = self.parse("<sip:u@h>;mediaenc=srtp", active: ["udp", "sip_udp"])
    #expect(accounts.isEmpty)
    #expect(
      problems == [
        "accounts:1: error: mediaenc: the module srtp is not switched on: add the line \"module srtp\" to the config"
      ])
  }

  @Test("a password is in nothing that can be printed")
  func redacted() throws {
    let (accounts, problems) = self.parse(
      "<sip:u:hunter2@h>;auth_pass=hunter2;uas_user=x;uas_pass=hunter2;stunpass=hunter2;auth_pass=hunter2")
    let account = try #require(accounts.first)
    var text = String(describing: account) + String(reflecting: account) + problems.joined()
    dump(account, to: &text)
    #expect(!text.contains("hunter2"))
    #expect(account.authPassword?.unredacted == "hunter2")
  }

  @Test("contacts have a presence and an access rule")
  func contacts() throws {
    var problems: [ConfigProblem] = []
    let contacts = ContactsFile.parse(
      """
      "Music Server" <sip:music@example.org>
      "Al" <sip:al@home>;presence=p2p;dialog=p2p
      "Catch All" <sip:*@*>;access=block
      sip:good@friend.example;access=allow
      """, file: "contacts", problems: &problems)
    #expect(problems.isEmpty)
    #expect(contacts.map(\.displayName) == ["Music Server", "Al", "Catch All", nil])
    #expect(contacts.map(\.presence) == [.none, .p2p, .none, .none])
    #expect(contacts.map(\.dialog) == [.none, .p2p, .none, .none])
    #expect(contacts.map(\.access) == [nil, nil, .block, .allow])
    #expect(contacts[3].address.aor == "sip:good@friend.example")
  }

  @Test(
    "a wrong contact has its sentence",
    arguments: [
      ("<sip:a@b>;acces=allow", "acces: a contact has no such parameter; did you mean \"access\"?"),
      ("<sip:a@b>;access=maybe", "access: \"maybe\" is not allowed: it takes one of allow, block"),
      ("Bob", "contact: the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>"),
    ])
  func contactErrors(line: String, sentence: String) {
    var problems: [ConfigProblem] = []
    #expect(ContactsFile.parse(line, file: "contacts", problems: &problems).isEmpty)
    #expect(problems.map(\.description) == ["contacts:1: error: \(sentence)"])
  }

  @Test("a contact keeps what other programs wrote beside it, with a warning")
  func foreignContact() {
    var problems: [ConfigProblem] = []
    let contacts = ContactsFile.parse("<sip:a@b>;access=block;x-color=red", file: "contacts", problems: &problems)
    #expect(contacts.map(\.access) == [.block])
    #expect(problems.map(\.description) == ["contacts:1: warning: x-color: a contact has no such parameter"])
  }
}

/// The documentation of the parameters.
@Suite struct AccountDocumentationTests {
  /// baresip's, from the documentation of its accounts file.
  static let baresip = """
    regint rwait pubint outbound outbound1 outbound2 auth_user auth_pass answermode 100rel sip_autoanswer \
    sip_autoredirect inreq_allowed catchall mediaenc rtcp_mux ptime audio_codecs audio_source stunserver cert extra \
    prio fbregint regq sipnat uas_user uas_pass answerdelay dtmfmode sip_autoanswer_beep call_transfer check_origin \
    mwi medianat natpinhole autelev_pt video_codecs audio_player video_source video_display stunuser stunpass \
    tcpsrcport
    """.split(separator: " ").map(String.init)

  @Test("every parameter of baresip is known, and every one is in Docs/accounts.md as it is")
  func table() throws {
    #expect(Set(AccountParameters.names) == Set(Self.baresip + ["privacy"]))
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let text = try ConfigFolder.readText("\(root)/Docs/accounts.md")
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("|") }.map(String.init)
    #expect(rows == AccountParameters.documentation)
  }
}
