internal import ModuleKit
internal import RTPStack
internal import SDPCodec
internal import SIPStack

/// What baresip's module `menu` has whether there is a call or not.
extension AgentCore {
  var menuCommands: [CoreCommand] { self.dialCommands + self.accountCommands + self.settingCommands }

  private var dialCommands: [CoreCommand] {
    [
      CoreCommand("dial", key: "d", "URI|NUMBER|NAME", "call someone, or the last again; URI ACCOUNT: from that one") {
        [unowned self] text throws(CommandFailure) in try self.control.dial(parameters: text)
      },
      CoreCommand("dialdir", "URI audio=DIRECTION video=DIRECTION|DIRECTION", "call someone with directions of media") {
        [unowned self] text throws(CommandFailure) in
        var words = CommandWords(text)
        let userData = words.take("userdata")
        guard let target = words.rest.first, let directions = CallDirections().changed(by: words.rest.dropFirst())
        else {
          throw CommandFailure("/dialdir takes a URI, and \(CallDirections.usage)")
        }
        return try self.control.dial(target, directions: directions, userData: userData)
      },
      CoreCommand("accept", key: "a", "[CALL]", "accept the incoming call") {
        [unowned self] name throws(CommandFailure) in
        let call = try self.control.accept(name)
        return "call \(call.id): accepted"
      },
      CoreCommand(
        "acceptdir", "audio=DIRECTION video=DIRECTION|DIRECTION [callid=CALL]",
        "accept the incoming call with directions of media"
      ) { [unowned self] text throws(CommandFailure) in
        var words = CommandWords(text)
        let name = words.takeCall()
        guard let directions = CallDirections().changed(by: words.rest) else {
          throw CommandFailure("/acceptdir takes \(CallDirections.usage), and callid=")
        }
        let call = try self.control.accept(name, directions: directions)
        return "call \(call.id): accepted"
      },
      CoreCommand(
        "hangup", key: "b", "[CALL] [scode=STATUS] [reason=WORD]", "end the current call, or refuse it: with a status"
      ) { [unowned self] text throws(CommandFailure) in
        try self.hangUp(parameters: text)
      },
      CoreCommand("hangupall", key: "B", "[in|out|all]", "end every call; in and out: what is not answered yet") {
        [unowned self] text throws(CommandFailure) in
        var words = CommandWords(text)
        let which = words.take("dir") ?? text
        guard ["", "all", "in", "out"].contains(which) else { throw CommandFailure("/hangupall takes in, out or all") }
        let isAll = which.isEmpty || which == "all"
        for call in self.sortedCalls
        where isAll || (call.isOutgoing == (which == "out") && call.state != .established) {
          self.hangUp(call.id)
        }
        return ""
      },
      CoreCommand("listcalls", key: "l", "list the calls") { [unowned self] _ in
        self.refreshAll()
        return self.callList
      },
      CoreCommand("callstat", key: "c", "show the current call's figures") {
        [unowned self] _ throws(CommandFailure) in
        self.refreshAll()
        return self.report(try self.control.call(named: "").id)?.line ?? ""
      },
      CoreCommand("options", key: "o", "URI", "ask someone what it can do") {
        [unowned self] text throws(CommandFailure) in
        let (target, account) = try self.control.target(text)
        self.sendOptions(to: target, from: account)
        return ""
      },
      CoreCommand("refer", key: "R", "URI REFER-TO", "ask someone, outside a call, to call someone else") {
        [unowned self] text throws(CommandFailure) in
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 2 else { throw CommandFailure("/refer takes whom to ask, and whom to call") }
        let (peer, account) = try self.control.target(words[0])
        let (target, _) = try self.control.target(words[1])
        self.sendRefer(to: peer, target: target, from: account)
        return ""
      },
      CoreCommand(
        "message", key: "M", "TEXT|URI TEXT",
        "send a message: to the address or contact in front, else the call's peer, else the selected contact"
      ) { [unowned self] text throws(CommandFailure) in try self.control.sendMessage(text) },
      CoreCommand("calllog", "show the last calls") { [unowned self] _ in
        let entries = self.control.history.entries
        guard !entries.isEmpty else { return "no call has ended yet" }
        return entries.map { entry in
          "\(entry.isMissed ? "missed from" : entry.isOutgoing ? "to" : "from") \(entry.peer), \(Int(entry.duration)) s"
        }.joined(separator: "\n")
      },
    ]
  }

  private var settingCommands: [CoreCommand] {
    [
      CoreCommand("help", key: "h", "[COMMAND]", "list the commands") {
        [unowned self] name throws(CommandFailure) in
        let found = self.commands.descriptions.filter { name.isEmpty || $0.name == name }
        guard !found.isEmpty else { throw CommandFailure("there is no command /\(name)") }
        return found.map(\.line).joined(separator: "\n")
      },
      CoreCommand("about", "what this is") { _ in "Apus \(apusVersion) is a modular SIP user agent; MIT licence" },
      CoreCommand("dnd", "[on|off]", "refuse calls that come in") { [unowned self] text throws(CommandFailure) in
        switch text {
        case "on", "yes": self.control.doNotDisturb = true
        case "off", "no": self.control.doNotDisturb = false
        case "": self.control.doNotDisturb.toggle()
        default: throw CommandFailure("/dnd takes on or off")
        }
        return "do not disturb: \(self.control.doNotDisturb ? "on" : "off")"
      },
      CoreCommand("setadelay", "[SECONDS]", "ask peers to answer calls of ours after so many seconds") {
        [unowned self] text throws(CommandFailure) in
        guard !text.isEmpty, let seconds = Int(text), seconds >= 0 else {
          self.control.askedAnswerDelay = nil
          return "SIP auto answer delay disabled"
        }
        guard self.settings.configuration.autoAnswerMethod != nil else {
          throw CommandFailure("set sip_autoanswer_method in the config first: rfc5373, call-info or alert-info")
        }
        self.control.askedAnswerDelay = seconds
        return "SIP auto answer delay changed to \(seconds)"
      },
      CoreCommand("setansval", "[URI]", "what Call-Info or Alert-Info names when a call asks to be answered") {
        [unowned self] text throws(CommandFailure) in
        guard text.allSatisfy({ !$0.isNewline && $0 != "<" && $0 != ">" }) else {
          throw CommandFailure("/setansval takes a URI, without angle brackets")
        }
        self.control.askedAnswerValue = text.isEmpty ? CallControl.defaultAnswerValue : text
        return "SIP auto answer value: \(self.control.askedAnswerValue)"
      },
      CoreCommand("ausrc", "MODULE,DEVICE", "what all calls send, and later ones without audio_source") {
        [unowned self] text throws(CommandFailure) in
        guard let device = AudioDevice(text), (try? self.registry.source(device.driver)) != nil else {
          throw CommandFailure("no such audio-source: \(text)")
        }
        try self.changeCalls { media in try media.change(source: device) }
        self.settings.configuration.audioSource = device
        for account in self.localAccounts where account.settings.account?.audioSource == nil {
          account.settings.source = device
        }
        return "switch audio device: \(device)"
      },
      CoreCommand("auplay", "MODULE,DEVICE", "where all calls are heard, and later ones without audio_player") {
        [unowned self] text throws(CommandFailure) in
        guard let device = AudioDevice(text), (try? self.registry.player(device.driver)) != nil else {
          throw CommandFailure("no such audio-player: \(text)")
        }
        try self.changeCalls { media in try media.change(player: device) }
        self.settings.configuration.audioPlayer = device
        for account in self.localAccounts where account.settings.account?.audioPlayer == nil {
          account.settings.player = device
        }
        return "switch audio player: \(device)"
      },
      CoreCommand("entransp", "udp|tcp|tls|ws|wss yes|no", "switch a SIP transport") {
        [unowned self] text throws(CommandFailure) in
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 2, let kind = SIPTransportKind(name: words[0]), ["yes", "no"].contains(words[1]) else {
          throw CommandFailure("/entransp takes udp, tcp, tls, ws or wss, and yes or no")
        }
        try self.switchTransport(kind, isOn: words[1] == "yes")
        return "SIP over: \(self.transports.kinds.map(\.name).joined(separator: ", "))"
      },
      CoreCommand("tlsissuer", "who issued the TLS certificate") { [unowned self] _ throws(CommandFailure) in
        "TLS Cert Issuer: \(try self.certificateNames().issuer)"
      },
      CoreCommand("tlssubject", "whom the TLS certificate names") { [unowned self] _ throws(CommandFailure) in
        "TLS Cert Subject: \(try self.certificateNames().subject)"
      },
      CoreCommand("vidsrc", "MODULE,DEVICE", "what video calls send from now on") {
        [unowned self] text throws(CommandFailure) in
        guard let device = AudioDevice(text), (try? self.registry.videoSource(device.driver)) != nil else {
          let known = self.registry.videoSources.map(\.module).joined(separator: ", ")
          throw CommandFailure("/vidsrc takes MODULE,DEVICE with a module of: \(known)")
        }
        for account in self.localAccounts { account.settings.videoSource = device }
        return "video source: \(device)"
      },
    ]
  }

  private func certificateNames() throws(CommandFailure) -> CertificateNames {
    guard let file = self.settings.configuration.sipSecurity.certificate else {
      throw CommandFailure("there is no TLS certificate: sip_certificate in the config names its file")
    }
    guard let names = CertificateNames(file: file) else {
      throw CommandFailure("\(file): there is no certificate in it")
    }
    return names
  }

  /// Changes a device of every call that has media; what the first one refuses, the others are spared.
  private func changeCalls(_ change: (CallMedia) throws -> Void) throws(CommandFailure) {
    for call in self.sortedCalls where call.state != .ended && !call.hasSIPEnded {
      guard let media = call.media else { continue }
      do { try change(media) } catch { throw CommandFailure("call \(call.id): \(error)") }
    }
  }

  /// Ends the call that the parameters name, else the current one; one that nobody has answered is refused as they say.
  private func hangUp(parameters: String) throws(CommandFailure) -> String {
    var words = CommandWords(parameters)
    let status = words.take("scode").map { Int($0) ?? 0 }
    let reason = words.take("reason")
    guard (400...699).contains(status ?? 486), words.rest.count < 2 else {
      throw CommandFailure("/hangup takes a call, scode= with a status from 400 to 699, and reason= with a word")
    }
    if words.rest.isEmpty, self.control.currentCall == nil, let target = self.control.cancelRedial() {
      return "\(target.shown) is not called again"
    }
    let call = try self.control.call(named: words.rest.first ?? "")
    guard call.isWaiting, status != nil || reason != nil else {
      self.hangUp(call.id)
      return ""
    }
    self.reject(call.id, status: status ?? 486, reason: reason)
    return ""
  }

  var sortedCalls: [Call] { self.calls.values.sorted { $0.id.number < $1.id.number } }

  func refreshAll() { for call in self.calls.keys { self.refreshStatistics(call) } }
}

extension CommandDescription {
  /// `/name PARAMETERS  key  help`.
  var line: String {
    let call = "/\(self.name)\(self.parameters.isEmpty ? "" : " \(self.parameters)")"
    let padding = String(repeating: " ", count: max(1, 32 - call.count))
    return "\(call)\(padding)\(self.key.map { String($0) } ?? " ")  \(self.help)"
  }
}

extension CallReport {
  /// One line of a list of calls.
  var line: String {
    let media = self.media
    let held = self.isOnHold ? ", on hold" : self.isHeldByPeer ? ", held by the peer" : ""
    return "call \(self.id): \(self.state.rawValue) \(self.peer), \(self.codec ?? "no codec"), "
      + "\(self.mediaEncryption)\(held), sent \(media.sentPackets), received \(media.receivedPackets), "
      + "lost \(media.lost), dropped \(self.dropped)"
      + (media.audioLevel.map { ", the peer at \($0.decibels) dBov" } ?? "")
      + (self.video.map { ", \($0.encodingName) \($0.line)" } ?? "")
  }
}
