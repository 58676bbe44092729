internal import ModuleKit
internal import NetBase
internal import SDPCodec

/// How the media is reached, where the account has a `medianat`.
extension CallMedia {
  /// Makes the next offer begin the checks anew; false where there are none.
  package func requestRestart() -> Bool { self.connectivity?.requestRestart() ?? false }

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
