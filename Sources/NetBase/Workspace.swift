internal import Glibc

/// Room that a loop lends to whoever runs on it, for as long as it runs: what is in it afterwards is nobody's.
///
/// One for a loop stays in the processor's cache; one for each stream would have to be fetched at each tick.
package struct Workspace: ~Copyable {
  /// Bytes of `packet`: RTP header, payload, and room for an SRTP trailer, within one datagram on Ethernet.
  package static let packetLength = 1500

  /// For one frame of PCM, as long as anyone wanted it.
  package var frame: [Int16] = []
  /// For what a packet decodes to, or is resampled to, where that is no frame.
  package var scratch: [Int16] = []
  /// For a packet that leaves.
  package var packet: [UInt8] = []

  package init() {}
}

extension [Int16] {
  /// Makes room for `count` samples; which ones are there is not said.
  package mutating func enlarge(to count: Int) { if self.count < count { self = Array(repeating: 0, count: count) } }

  /// Makes the first `count` samples silence.
  package mutating func silence(first count: Int) {
    precondition(count <= self.count, "silence outside a frame")
    unsafe self.withUnsafeMutableBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      _ = unsafe memset(start, 0, count * MemoryLayout<Int16>.stride)
    }
  }
}
