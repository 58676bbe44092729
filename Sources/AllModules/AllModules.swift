public import ModuleKit
internal import alsa
internal import aubridge
internal import aufile
internal import ausine
internal import ctrl_tcp
internal import dns
internal import dtls_srtp
internal import g711
internal import h264
internal import httpd
internal import ice
internal import ivf
internal import mixausrc
internal import opus
internal import presence
internal import serreg
internal import sip_tcp
internal import sip_tls
internal import sip_udp
internal import sip_ws
internal import sip_wss
internal import srtp
internal import udp
internal import vidbridge
internal import vp8
internal import vumeter
internal import whip

/// Every module that is compiled in, in the order of `apus modules`.
public let allModules: [any Module.Type] = [
  UDP.self, SIPUDP.self, SIPTCP.self, SIPTLS.self, SIPWS.self, SIPWSS.self, DNS.self, Opus.self, G711.self, VP8.self,
  H264.self, SRTP.self, DTLSSRTP.self, ICE.self, AudioFile.self, ALSA.self, AudioSine.self, AudioBridge.self,
  VideoBridge.self, IVF.self, VUMeter.self, MixAudioSource.self, CtrlTCP.self, WHIP.self, HTTPD.self, Presence.self,
  SerReg.self,
]

/// The names of those that an agent has where nobody names any: all but filters, what opens a port, and what tells others of us.
package let usualModuleNames = allModules.map { $0.name }.filter {
  !["vumeter", "mixausrc", "ctrl_tcp", "whip", "httpd", "presence", "serreg"].contains($0)
}

/// Waits until everything recorded so far, by all agents of the process, is in its files; before the process ends.
///
/// - Returns: in a sentence, what is missing because a disk was full or broken; nil where nothing is.
@discardableResult
public func completeRecordings() -> String? {
  FileThread.shared.flush()
  let files = AudioFile.losses.files + IVF.losses.files
  guard files > 0 else { return nil }
  return "\(files == 1 ? "a recording lacks its end" : "\(files) recordings lack their end"): "
    + "the disk was full or broken"
}
