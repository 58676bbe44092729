internal import Glibc
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack
internal import SRTPEngine

extension AgentCore {
  func makeMedia(_ id: CallID, _ settings: CallSettings, towards peer: SocketAddress) throws -> CallMedia {
    let slot = PortSlot()
    let main = self.main
    let port = self.context.register { [weak self] in self?.transportCalls(id) }
    slot.set(port)
    self.eventPorts[id] = port
    do {
      return try CallMedia(
        environment: self.environment, settings: settings, stream: StreamID(number: id.number), peer: peer,
        announce: { slot.signal(main) },
        failed: { [reference] error in reference.withValue { $0.core?.audioFailed(id, error) } },
        warn: { [weak self] text in self?.warnSoon(id, text) })
    } catch {
      self.context.unregister(port)
      self.eventPorts[id] = nil
      throw error
    }
  }

  /// Not at once: whoever is told may do something with the call, which is being made.
  private func warnSoon(_ id: CallID, _ text: String) {
    self.context.schedule(at: self.context.now) { [weak self] in self?.emit(.warning(id, text)) }
  }

  func mediaFailed(_ id: CallID, _ error: ModuleError) {
    guard let call = self.calls[id], !call.hasSIPEnded else { return }
    self.fail(call, error)
  }

  /// The call's sound can't be had, which ends the call; told as baresip does, by an errno and a sentence.
  func audioFailed(_ id: CallID, _ error: ModuleError) {
    self.notice(.audioError, id, parameter: "\(EIO),\(error.message)")
    self.mediaFailed(id, error)
  }

  func transportCalls(_ id: CallID) {
    if let media = self.calls[id]?.media {
      for section in media.everySection {
        while let call = self.calls[id], let event = section.transport.nextEvent() {
          if section === media.section { self.handle(event, call) } else { self.handle(event, call, ofVideo: section) }
        }
      }
    }
    guard let media = self.abandoned[id] else { return }
    for section in media.everySection {
      while let event = section.transport.nextEvent() {
        if case .closed = consume event { section.hasClosed = true }
      }
    }
    guard media.hasClosed else { return }
    self.abandoned[id] = nil
    if let port = self.eventPorts.removeValue(forKey: id) { self.context.unregister(port) }
    media.release()
    self.onProgress?()
  }

  /// What the audio's transport tells, which may carry the video too.
  func handle(_ event: consuming TransportEvent, _ call: Call) {
    let now = self.context.now
    switch consume event {
    case .secured(let security):
      call.secured = call.secured ?? now
      call.security = security
      self.emit(.secured(call.id, profile: security.profile.rawValue))
    case .gathered(let report): self.gathered(report, call)
    case .connected(let report): call.media?.section.connectivity?.connected(report)
    case .sending: call.firstSent = call.firstSent ?? now
    case .established:
      call.firstMedia = call.firstMedia ?? now
      self.emit(.mediaEstablished(call.id))
    case .digit(let digit):
      if let digit { call.heard(digit) }
      self.emit(.digit(call.id, digit))
    case .digitsRefused(let digits): self.refused(digits: digits, call.id)
    case .peerReported:
      guard !self.applications.isEmpty else { break }
      call.owesReport = true
      self.refreshStatistics(call.id)
    case .goodbye:
      // Who has an association says its end there; a source also ends when the peer holds us (RFC 3550 §6.6).
      if call.session == nil, call.media?.section.keying?.isBoundToAddress != true { self.hangUp(call.id) }
    case .peerLeft: if call.session == nil { self.hangUp(call.id) }
    case .timedOut:
      let limit = self.settings.configuration.rtpTimeout ?? 0
      call.end(
        "timeout",
        failure: ModuleError(.peer, "nothing was heard from \(call.peer) for \(limit) s (rtp_timeout)"))
      self.hangUp(call.id)
    case .sourceEnded: self.emit(.sourceEnded(call.id))
    case .audioFailed(let error): self.audioFailed(call.id, error)
    case .failed(let error): self.mediaFailed(call.id, error)
    case .statistics(let statistics):
      call.statistics = statistics
      call.tellMeasured()
      guard call.owesReport else { break }
      call.owesReport = false
      self.notice(.rtcp, call: call, parameter: "audio")
    case .retired(let contexts): _ = consume contexts
    case .rekeyed(let changes): call.media?.section.rekeyed(changes)
    case .rekeyFailed(let error):
      call.media?.section.rekeyFailed()
      self.emit(.warning(call.id, "the keys stay as they were: \(error.message)"))
    case .keyWornOut: self.renewKeys(of: call)
    case .closed(let statistics):
      call.statistics = statistics
      if let media = call.media { self.closed(media.section, call) }
    }
  }

  /// What the video's own transport tells.
  private func handle(_ event: consuming TransportEvent, _ call: Call, ofVideo section: MediaSection) {
    switch consume event {
    case .gathered(let report): self.gathered(report, call)
    case .connected(let report): section.connectivity?.connected(report)
    case .failed(let error): if call.media?.video?.section === section { self.mediaFailed(call.id, error) }
    case .statistics(let statistics): call.videoTransport = statistics
    case .retired(let contexts): _ = consume contexts
    case .rekeyed(let changes): section.rekeyed(changes)
    case .rekeyFailed(let error):
      section.rekeyFailed()
      self.emit(.warning(call.id, "the keys of the video stay as they were: \(error.message)"))
    case .keyWornOut: self.renewKeys(of: call)
    case .closed(let statistics):
      call.videoTransport = statistics
      self.closed(section, call)
    // The rest the audio says for the call.
    default: break
    }
  }

  private func closed(_ section: MediaSection, _ call: Call) {
    section.hasClosed = true
    if let video = call.media?.video, video.retired.contains(where: { $0 === section }) { video.forget(section) }
    guard call.media?.hasClosed == true else { return }
    call.hasMediaEnded = true
    self.finish(call)
  }
}
