internal import ModuleKit

/// What baresip's module `menu` has while there is a call.
extension AgentCore {
  var callCommands: [CoreCommand] {
    [
      CoreCommand("hold", key: "x", "[CALL]", scope: .inCall, "hold the current call") {
        [unowned self] name throws(CommandFailure) in
        self.setHold(try self.standing(name).id, true)
        return ""
      },
      CoreCommand("resume", key: "X", "[CALL]", scope: .inCall, "resume the current call; the others are held") {
        [unowned self] name throws(CommandFailure) in
        let call = try self.standing(name)
        self.holdOthers(than: call)
        self.control.choose(call: call.id)
        self.setHold(call.id, false)
        return ""
      },
      CoreCommand(
        "line", key: "@", "LINE", scope: .inCall,
        "make the call of this number in /listcalls the current one; numbers are the process's, and none comes twice"
      ) { [unowned self] text throws(CommandFailure) in
        guard let number = UInt64(text), let call = self.calls[CallID(number: number)], call.state != .ended else {
          throw CommandFailure("call not found (line=\(text))")
        }
        self.control.choose(call: call.id)
        return "setting current call: line \(number)"
      },
      CoreCommand("callfind", "CALL", scope: .inCall, "make the call of this Call-ID the current one") {
        [unowned self] name throws(CommandFailure) in
        guard !name.isEmpty else { throw CommandFailure("/callfind takes a Call-ID") }
        self.control.choose(call: try self.control.call(named: name).id)
        return "setting current call: \(name)"
      },
      CoreCommand("mute", key: "m", "[yes|no]", scope: .inCall, "send silence, or sound again") {
        [unowned self] text throws(CommandFailure) in
        let call = try self.control.call(named: "")
        guard ["", "yes", "no"].contains(text) else { throw CommandFailure("/mute takes yes or no") }
        self.mute(call.id, text.isEmpty ? !call.isMuted : text == "yes")
        return "call \(call.isMuted ? "muted" : "un-muted")"
      },
      CoreCommand("unmute", scope: .inCall, "send sound again") {
        [unowned self] _ throws(CommandFailure) in
        self.mute(try self.control.call(named: "").id, false)
        return "call un-muted"
      },
      CoreCommand("sndcode", "DIGITS", scope: .inCall, "send digits: 0-9 * # A-D") {
        [unowned self] digits throws(CommandFailure) in
        let call = try self.standing("")
        guard !digits.isEmpty, digits.allSatisfy({ "0123456789*#ABCDabcd".contains($0) }) else {
          throw CommandFailure("/sndcode takes digits: 0-9 * # A-D")
        }
        self.send(digits: digits.uppercased(), on: call.id)
        return ""
      },
      CoreCommand("reinvite", key: "I", scope: .inCall, "offer the call's description again") {
        [unowned self] _ throws(CommandFailure) in
        guard self.reoffer(try self.standing("")) else {
          throw CommandFailure("an offer still waits for its answer: try again")
        }
        return ""
      },
      CoreCommand("rekey", key: "k", "[CALL]", scope: .inCall, "change a call's keys") {
        [unowned self] name throws(CommandFailure) in
        guard self.rekey(try self.standing(name).id) else {
          throw CommandFailure("this call's keys can't be changed now")
        }
        return ""
      },
      CoreCommand("icerestart", scope: .inCall, "check anew where the current call's media goes") {
        [unowned self] _ throws(CommandFailure) in
        guard self.restartConnectivity(try self.standing("").id) else {
          throw CommandFailure("this call has no checks to begin anew now")
        }
        return ""
      },
      CoreCommand("audio_debug", key: "A", scope: .inCall, "show the current call's audio") {
        [unowned self] _ throws(CommandFailure) in
        let call = try self.control.call(named: "")
        self.refreshStatistics(call.id)
        return self.report(call.id).map { self.audioText($0) } ?? ""
      },
      CoreCommand("aubitrate", "BIT/S", scope: .inCall, "change the encoder's bit rate") {
        [unowned self] text throws(CommandFailure) in
        let call = try self.standing("")
        guard let bitrate = Int(text), (6000...510_000).contains(bitrate) else {
          throw CommandFailure("/aubitrate takes 6000 to 510000 bit/s")
        }
        guard let media = call.media, media.codec?.codec.encodingName.lowercased() == "opus" else {
          throw CommandFailure("the bit rate of \(call.media?.codec?.codec.encodingName ?? "this codec") is fixed")
        }
        do { try media.change(bitrate: bitrate) } catch { throw CommandFailure("\(error)") }
        return ""
      },
      CoreCommand(
        "medialdir", "audio=DIRECTION video=DIRECTION|DIRECTION [callid=CALL]", scope: .inCall,
        "change this side's directions"
      ) { [unowned self] text throws(CommandFailure) in
        var words = CommandWords(text)
        let call = try self.standing(words.takeCall())
        guard let media = call.media, let directions = media.directions.changed(by: words.rest) else {
          throw CommandFailure("/medialdir takes \(CallDirections.usage), and callid=")
        }
        try self.change(call, media, to: directions)
        return ""
      },
      CoreCommand("video_debug", key: "V", scope: .inCall, "show the current call's video") {
        [unowned self] _ throws(CommandFailure) in
        let call = try self.control.call(named: "")
        self.refreshStatistics(call.id)
        // As audio's, they are those of the last time that someone asked.
        guard let figures = self.report(call.id)?.video ?? call.media?.video?.index.map({ _ in VideoStatistics() })
        else {
          throw CommandFailure("the call has no video")
        }
        return figures.text(self.report(call.id)?.videoTransport)
      },
      CoreCommand("videodir", "DIRECTION", scope: .inCall, "change the direction of video") {
        [unowned self] text throws(CommandFailure) in
        let call = try self.standing("")
        guard let media = call.media, media.video?.index != nil else { throw CommandFailure("the call has no video") }
        guard let directions = media.directions.changed(by: ["video=\(text)"]) else {
          throw CommandFailure("/videodir takes sendrecv, sendonly, recvonly or inactive")
        }
        try self.change(call, media, to: directions)
        return ""
      },
      CoreCommand("transfer", key: "t", "URI|NUMBER|NAME", scope: .inCall, "let the peer call someone else") {
        [unowned self] text throws(CommandFailure) in
        let call = try self.standing("")
        self.transfer(call, to: try self.control.target(text, from: call))
        return "call \(call.id): transferring"
      },
      CoreCommand("atransferstart", key: "T", "URI|NUMBER|NAME", scope: .inCall, "call whom the peer is to talk to") {
        [unowned self] text throws(CommandFailure) in try self.control.startTransfer(text)
      },
      CoreCommand("atransferexec", scope: .inCall, "connect the two") {
        [unowned self] _ throws(CommandFailure) in try self.control.finishTransfer()
      },
      CoreCommand("atransferabort", scope: .inCall, "end the second call, and go on with the first") {
        [unowned self] _ throws(CommandFailure) in try self.control.abortTransfer()
      },
      CoreCommand("statmode", key: "S", scope: .inCall, "show figures while a call stands, or no more") {
        [unowned self] _ in
        self.statusLine.isOn.toggle()
        return "status line: \(self.statusLine.isOn ? "on" : "off")"
      },
      CoreCommand("stopringing", scope: .inCall, "stop the ring tone") { [unowned self] _ in
        self.tones.silence()
        return ""
      },
    ]
  }

  /// Offers other directions.
  private func change(_ call: Call, _ media: CallMedia, to directions: CallDirections) throws(CommandFailure) {
    let before = media.directions
    media.directions = directions
    guard self.reoffer(call) else {
      media.directions = before
      throw CommandFailure("an offer still waits for its answer: try again")
    }
    call.changes.formerDirections = before
  }

  /// A call that stands: the named one, or the current one.
  func standing(_ name: String) throws(CommandFailure) -> Call {
    let call = try self.control.call(named: name)
    guard call.state == .established else { throw CommandFailure("call \(call.id) is not established") }
    return call
  }

  private func audioText(_ report: CallReport) -> String {
    let media = report.media
    return """
      codec \(report.codec ?? "none"), \(report.mediaEncryption) \(report.profile ?? "")
      sent \(media.sentPackets) packets, \(media.sentBytes) bytes, not taken by the kernel \(media.sendFailures), \
      by the encoder \(media.unencodable)
      received \(media.receivedPackets) packets, \(media.receivedBytes) bytes, lost \(media.lost), late \(media.late), \
      twice \(media.duplicate), jitter \(media.jitter) ms, concealed \(media.concealed) ms, \
      recovered \(media.recovered)
      dropped: auth \(media.drops.auth), replay \(media.drops.replay), plaintext \(media.drops.plaintext), \
      source \(media.drops.source), unknown \(media.drops.unknown), no key \(media.drops.noKey), \
      crowded out before keys \(media.drops.crowded), checks \(media.drops.checks), at the end \(media.drops.ended)
      relays: not taken without a permission \(media.drops.unpermitted), without a channel \(media.drops.unbound), \
      not sent for want of a permission \(media.relayRefusals), of room \(media.relayOverflows), \
      connections lost \(media.relayLosses)
      """
  }
}

extension VideoStatistics {
  /// - Parameter transport: its own, where the audio's does not carry it.
  func text(_ transport: TransportStatistics?) -> String {
    """
    codec \(self.encodingName)
    sent \(self.sentFrames) frames (\(self.sentKeyFrames) key frames), \(self.sentPackets) packets, \
    \(self.sentBytes) bytes, sent again \(self.resent), key frames asked of us \(self.receivedKeyFrameRequests)
    received \(self.receivedFrames) frames (\(self.receivedKeyFrames) key frames), \(self.receivedPackets) packets, \
    \(self.receivedBytes) bytes, lost \(self.lost), recovered \(self.recovered), late \(self.late), \
    twice \(self.duplicate), jitter \(self.jitter) ms, key frames asked for \(self.keyFrameRequests)
    dropped: frames in part \(self.discardedFrames), packets without room \(self.refused), \
    malformed payloads \(self.malformed)\
    \(transport.map { ", datagrams \($0.drops.total)" } ?? "")
    """
  }
}
