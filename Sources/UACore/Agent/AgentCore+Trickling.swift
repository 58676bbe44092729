internal import SDPCodec
internal import SIPStack

/// Candidates that a peer has found since its description, and tells by INFO (RFC 8840). Ours are all in our descriptions.
extension AgentCore {
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
  }

  /// What belongs to another description than the last is passed over.
  private func add(_ sections: [CandidateFragment.Section], to call: Call) {
    for section in sections {
      do {
        _ = try call.media?.add(
          candidates: section.candidates, of: section.usernameFragment, for: section.mediaID)
      } catch { self.emit(.warning(call.id, "candidates of the peer's are lost: \(error)")) }
    }
  }
}
