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
  package func requestRestart() -> Bool { self.connectivity?.requestRestart() ?? false }

  /// Begins to gather what the next description names; false where it need not wait.
  func gather(for next: NextDescription) throws -> Bool {
    guard let connectivity, let servers, !servers.isEmpty else { return false }
    let isWaiting: Bool
    switch next {
    case .offer:
      // New sockets, where the keys or the address want them: they are what candidates are gathered on.
      _ = try self.keying?.offerAttributes()
      try self.openPathIfNeeded()
      isWaiting = try connectivity.gather(from: servers, for: .offer)
    case .answer(let bytes):
      let offer = try SessionDescription(parsing: bytes)
      let media = offer.media.indices.lazy.map { RemoteMedia(offer, index: $0) }
      guard let remote = media.first(where: { self.accepts($0) }) else { return false }
      isWaiting = try connectivity.gather(from: servers, for: .answer(self.reach(of: remote)))
    }
    try self.postConnectivity()
    return isWaiting
  }

  /// Servers have answered; false where it is of sockets that no description of ours names any more.
  func gathered(_ report: GatheringReport) -> Bool {
    self.connectivity?.gathered(report)
    return report.sockets.rtp == self.localAddress
  }

  /// The transport has found its way.
  func connected(_ report: ConnectivityReport) { self.connectivity?.connected(report) }

  /// Before the stream's settings: they say nothing of addresses where there are checks.
  func postConnectivity() throws {
    while let command = self.connectivity?.nextCommand() { try self.require(self.post(.connectivity(command))) }
  }

  func reach(of remote: RemoteMedia) -> RemoteConnectivity {
    RemoteConnectivity(
      attributes: remote.attributes.map { DescriptionAttribute($0.name, $0.value) }, address: remote.rtp?.address,
      sharesSocket: self.sharesSocket(with: remote))
  }
}
