internal import ModuleKit
package import NetBase
internal import SRTPEngine

extension MediaTransport: StreamOutput {
  /// Whether media can leave now: there is an address, and the keys that the security asks for.
  package var canSend: Bool {
    guard let address = self.path.rtpSource.address, !address.isUnspecified else { return false }
    switch self.security {
    case .undecided: return false
    case .plain: return true
    case .encrypted: return self.keys.hasOutbound(for: .rtp)
    }
  }

  package var canReport: Bool {
    let component: Component = self.usesRTCPMux ? .rtp : .rtcp
    guard self.canSend,
      let address = self.usesRTCPMux ? self.path.rtpSource.address : self.path.rtcpSource.address,
      !address.isUnspecified
    else { return false }
    guard case .encrypted = self.security else { return true }
    return self.keys.hasOutbound(for: component)
  }

  package func send(packet: inout Packet) -> Bool {
    guard let address = self.path.rtpSource.address, !address.isUnspecified else { return false }
    switch self.security {
    case .undecided: return false
    case .plain: break
    case .encrypted: guard case .ok = self.keys.protect(&packet, isRTCP: false, on: .rtp) else { return false }
    }
    self.send(packet.bytes, to: address, on: self.path, .rtp)
    return true
  }

  package func send(again packet: RawSpan) {
    guard self.canSend, let address = self.path.rtpSource.address else { return }
    self.send(packet, to: address, on: self.path, .rtp)
  }

  package func send(report packet: inout Packet) -> Bool {
    let component: Component = self.usesRTCPMux ? .rtp : .rtcp
    guard self.canReport,
      let address = self.usesRTCPMux ? self.path.rtpSource.address : self.path.rtcpSource.address
    else { return false }
    if case .encrypted = self.security {
      guard case .ok = self.keys.protect(&packet, isRTCP: true, on: component) else { return false }
    }
    self.send(packet.bytes, to: address, on: self.path, component)
    return true
  }
}
