/// A driver of audio and its device, `aufile,speech.wav`.
package struct AudioDevice: Hashable, Sendable, CustomStringConvertible {
  /// The module's name.
  package var driver: String
  /// The driver's own name for it; may be empty.
  package var device: String

  package init(driver: String, device: String) {
    self.driver = driver
    self.device = device
  }

  /// Parses `MODULE` or `MODULE,DEVICE`; nil when there is no module.
  package init?(_ text: String) {
    let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
    guard let driver = parts.first, !driver.isEmpty else { return nil }
    self.init(driver: String(driver), device: parts.count > 1 ? String(parts[1]) : "")
  }

  package var description: String { self.device.isEmpty ? self.driver : "\(self.driver),\(self.device)" }
}

/// A driver of video and its device, `ivf,film.ivf`: it is written as one of audio.
package typealias VideoDevice = AudioDevice
