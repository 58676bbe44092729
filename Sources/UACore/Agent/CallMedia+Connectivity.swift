internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import SDPCodec

/// How the media is reached, where the account has a `medianat`.
extension CallMedia {
  /// What is about to be described.
  enum NextDescription {
    case offer
    /// The peer's offer.
    case answer([UInt8])
  }

  /// Makes the next offer begin the checks anew; false where there are none.
  package func requestRestart() -> Bool {
    self.sections.reduce(false) { $1.connectivity?.requestRestart() ?? false || $0 }
  }

  /// Whom to ask for candidates; nil until their names are resolved.
  var servers: [ICEServer]? {
    get { self.section.servers }
    set { for section in self.sections { section.servers = newValue } }
  }

  /// Begins to gather what the next description names; false where it need not wait.
  func gather(for next: NextDescription) throws -> Bool {
    guard let servers, !servers.isEmpty else { return false }
    var isWaiting = false
    switch next {
    case .offer:
      try self.prepareVideo()
      for section in self.sections where try section.gather(from: servers, for: .offer) { isWaiting = true }
    case .answer(let bytes):
      let offer = try SessionDescription(parsing: bytes)
      let media = offer.media.indices.map { RemoteMedia(offer, index: $0) }
      guard let taken = self.choose(from: media, of: offer) else { return false }
      isWaiting = try self.section.gather(from: servers, for: .answer(taken.transport))
      if let video = taken.video, !video.isBundled, let own = self.video,
        try self.videoSection(own).gather(from: servers, for: .answer(video.remote))
      {
        isWaiting = true
      }
    }
    return isWaiting
  }

  /// Servers have answered; false while others of the next description's are awaited, and where it is of sockets that no
  /// description of ours names any more.
  func gathered(_ report: GatheringReport) -> Bool {
    let isOfUse = self.sections.reduce(false) { $1.gathered(report) || $0 }
    return isOfUse && !self.sections.contains(where: \.isGathering)
  }

  /// Names among the peer's candidates, each given once, and who wants to know what they stand for.
  func takeNamedCandidates() -> [(candidate: NamedCandidate, section: MediaSection)] {
    self.sections.flatMap { section in
      (section.connectivity?.takeNamedCandidates() ?? []).map { ($0, section) }
    }
  }

  /// Candidates of the peer's that are not used.
  var unusedCandidates: UnusedCandidates {
    self.sections.reduce(UnusedCandidates()) { $0 + ($1.connectivity?.unusedCandidates ?? UnusedCandidates()) }
  }

  /// What was found since our last description, for a peer that takes it; given once.
  func takeLateCandidates() -> [CandidateFragment.Section] {
    guard let description = self.negotiator.lastSent else { return [] }
    var lines = [(self.section, self.audioIndex)]
    if let video, let own = video.section, let index = video.index { lines.append((own, index)) }
    return lines.compactMap { section, index in
      guard let late = section.connectivity?.takeLateCandidates() else { return nil }
      let line = description.media[index]
      return CandidateFragment.Section(
        media: "\(line.kind)", mediaID: line.mid, usernameFragment: late.fragment, password: late.password,
        candidates: late.candidates)
    }
  }
}
