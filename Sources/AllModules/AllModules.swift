public import ModuleKit
internal import alsa
internal import aubridge
internal import aufile
internal import ausine
internal import ctrl_tcp
internal import dns
internal import dtls_srtp
internal import g711
internal import httpd
internal import ice
internal import opus
internal import presence
internal import sip_tcp
internal import sip_tls
internal import sip_udp
internal import sip_ws
internal import sip_wss
internal import srtp
internal import udp
internal import vumeter
internal import whip

/// Every module that is compiled in, in the order of `apus modules`.
public let allModules: [any Module.Type] = [
  UDP.self, SIPUDP.self, SIPTCP.self, SIPTLS.self, SIPWS.self, SIPWSS.self, DNS.self, Opus.self, G711.self, SRTP.self,
  DTLSSRTP.self, ICE.self, AudioFile.self, ALSA.self, AudioSine.self, AudioBridge.self, VUMeter.self, CtrlTCP.self,
  WHIP.self, HTTPD.self, Presence.self,
]

/// The names of those that an agent has where nobody names any: all but what writes to the terminal, opens a
/// port, or tells others of us.
package let usualModuleNames = allModules.map { $0.name }.filter {
  !["vumeter", "ctrl_tcp", "whip", "httpd", "presence"].contains($0)
}

/// Waits until everything recorded so far, by all agents of the process, is in its files; before the process ends.
public func completeRecordings() { AudioFile.flush() }
