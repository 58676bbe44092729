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
        failed: { [reference] error in reference.withValue { $0.core?.mediaFailed(id, error) } })
    } catch {
      self.context.unregister(port)
      self.eventPorts[id] = nil
      throw error
    }
  }

  func mediaFailed(_ id: CallID, _ error: ModuleError) {
    guard let call = self.calls[id], !call.hasSIPEnded else { return }
    self.fail(call, error)
  }

  func transportCalls(_ id: CallID) {
    while let call = self.calls[id], let event = call.media?.transport?.nextEvent() { self.handle(event, call) }
    while let transport = self.abandoned[id]?.transport, let event = transport.nextEvent() {
      guard case .closed = consume event else { continue }
      self.abandoned[id] = nil
      if let port = self.eventPorts.removeValue(forKey: id) { self.context.unregister(port) }
      transport.release()
    }
  }

  func handle(_ event: consuming TransportEvent, _ call: Call) {
    let now = self.context.now
    switch consume event {
    case .secured(let security):
      call.secured = call.secured ?? now
      call.security = security
      self.emit(.secured(call.id, profile: security.profile.rawValue))
    case .gathered(let report): self.gathered(report, call)
    case .connected(let report): call.media?.connected(report)
    case .sending: call.firstSent = call.firstSent ?? now
    case .established:
      call.firstMedia = call.firstMedia ?? now
      self.emit(.mediaEstablished(call.id))
    case .digit(let digit):
      if let digit { call.digits.append(digit) }
      self.emit(.digit(call.id, digit))
    case .peerReported:
      guard !self.applications.isEmpty else { break }
      call.owesReport = true
      self.refreshStatistics(call.id)
    case .peerLeft: if call.session == nil { self.hangUp(call.id) }
    case .timedOut:
      let limit = self.settings.configuration.rtpTimeout ?? 0
      call.end(
        "timeout",
        failure: ModuleError(.peer, "nothing was heard from \(call.peer) for \(limit) s (rtp_timeout)"))
      self.hangUp(call.id)
    case .sourceEnded: self.emit(.sourceEnded(call.id))
    case .failed(let error): self.mediaFailed(call.id, error)
    case .statistics(let statistics):
      call.statistics = statistics
      guard call.owesReport else { break }
      call.owesReport = false
      self.notice(.rtcp, call: call, parameter: "audio")
    case .retired(let contexts): _ = consume contexts
    case .rekeyed(let changes): call.media?.rekeyed(changes)
    case .rekeyFailed(let error):
      call.media?.rekeyFailed()
      self.emit(.warning(call.id, "the keys stay as they were: \(error.message)"))
    case .keyWornOut: _ = self.rekey(call.id)
    case .closed(let statistics):
      call.statistics = statistics
      call.hasMediaEnded = true
      self.finish(call)
    }
  }
}
