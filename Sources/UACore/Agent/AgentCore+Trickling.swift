internal import ICEAgent
internal import ModuleKit
internal import Runtime
internal import SDPCodec
internal import SIPStack

/// Candidates that were found after the description (RFC 8838): by SIP both sides tell them by INFO (RFC 8840); those of a
/// call without SIP are the program's to carry.
extension AgentCore {
  /// Tells the peer what was found since our last description, where it takes that, and once its dialog stands.
  func tellLateCandidates(of call: Call) {
    guard let media = call.media, call.state != .ended else { return }
    guard let session = call.session else {
      guard call.settings.tricklesCandidates else { return }
      for section in media.takeLateCandidates() {
        let ending = section.usernameFragment.map { " ufrag \($0)" } ?? ""
        let candidates = section.candidates.map { "candidate:\($0)\(ending)" }
        self.emit(.lateCandidates(call.id, candidates, mediaID: section.mediaID))
      }
      return
    }
    guard call.state == .established, self.endpoint.takes(.trickleICE, in: session) else { return }
    let sections = media.takeLateCandidates()
    guard !sections.isEmpty else { return }
    let request = self.endpoint.info(
      session, of: .trickleICE, CandidateFragment(sections).bytes, now: self.context.now)
    self.await(request) { [weak self, weak call] outcome in
      if case .answered(let status, _, _) = outcome, status < 300 { return }
      guard let self, let call, call.state != .ended else { return }
      self.emit(.warning(call.id, "the peer does not take our late candidates: \(outcome.text)"))
    }
    self.drain()
  }

  func received(candidates body: SIPBody?, _ call: Call) {
    guard let body else { return }
    let sections = CandidateFragment(parsing: body.bytes).sections
    // Its description may wait for someone to answer, or be on its way.
    guard call.media?.remoteDescription != nil else {
      call.earlyCandidates = Array((call.earlyCandidates + sections).suffix(Call.maximumEarlyCandidates))
      return
    }
    self.add(sections, to: call)
  }

  /// The peer's description is taken.
  func takeEarlyCandidates(_ call: Call) {
    let early = call.earlyCandidates
    call.earlyCandidates = []
    self.add(early, to: call)
    self.resolveCandidates(of: call)
  }

  /// Asks what names of the peer's candidates stand for.
  func resolveCandidates(of call: Call) {
    for (candidate, section) in call.media?.takeNamedCandidates() ?? [] {
      // The port is the candidate's own.
      self.locations.allAddresses(of: candidate.name, port: 9) { [weak self, weak call, weak section] addresses in
        guard let self, let call, let section, call.state != .ended else { return }
        section.connectivity?.resolved(candidate, to: addresses)
        do { try section.postConnectivity() } catch {
          self.emit(.warning(call.id, "candidates of the peer's are lost: \(error)"))
        }
      }
    }
  }

  /// What belongs to another description than the last is passed over.
  private func add(_ sections: [CandidateFragment.Section], to call: Call) {
    for section in sections {
      do {
        _ = try call.media?.add(
          candidates: section.candidates, of: section.usernameFragment, for: section.mediaID)
      } catch { self.emit(.warning(call.id, "candidates of the peer's are lost: \(error)")) }
    }
    self.resolveCandidates(of: call)
  }
}
