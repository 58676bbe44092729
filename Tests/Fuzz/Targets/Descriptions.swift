import ModuleKit
import NetBase
import SDPCodec
import SRTPEngine
import dtls_srtp
import h264
import opus
import srtp

/// SDP and the attributes that carry keys.
enum Descriptions {
  static func session(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let redacted = SDPRedaction.redacted(text)
    guard let description = try? SessionDescription(parsing: bytes) else { return }
    require(!redacted.isEmpty, "a description was redacted to nothing")
    let written = description.bytes
    require((try? SessionDescription(parsing: written)) != nil, "a description that was read can't be read again")
    var negotiator = OfferAnswer(
      sessionID: 1, address: SocketAddress(ipv4: 0x0A00_0001, port: 20_000), matching: CodecMatching())
    guard let media = try? negotiator.receiveOffer(description) else { return }
    for index in media.indices { _ = (media[index].rtp, media[index].rtcp, media[index].codecs) }
    _ = try? negotiator.makeAnswer(media.map { _ in nil })
  }

  static func crypto(_ bytes: [UInt8]) {
    guard let attribute = try? CryptoAttribute(String(decoding: bytes, as: UTF8.self)) else { return }
    require(
      attribute.keys[0].material.keyAndSalt.count == attribute.profile.keyAndSaltLength, "a key of the wrong length")
    let again = try? CryptoAttribute(attribute.serialized())
    require(again?.keys[0].isSame(as: attribute.keys[0]) == true, "a key that was read is written as another")
  }

  static func fingerprint(_ bytes: [UInt8]) {
    guard case .known(let fingerprint) = Fingerprint.parse(String(decoding: bytes, as: UTF8.self)) else { return }
    require([32, 48, 64].contains(fingerprint.digest.count), "a digest of no hash function")
    require(Fingerprint.parse(fingerprint.description) == .known(fingerprint), "a fingerprint is written as another")
  }

  /// What codecs are told by `a=fmtp`: what is understood is answered, and understood again the same.
  static func parameters(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let opus = OpusParameters(text)
    require(OpusParameters(opus.text) == opus, "parameters that were read are written as others")
    require(opus.maxAverageBitrate.map { (6_000...510_000).contains($0) } != false, "a bit rate that Opus has not")
    require(opus.maxPlaybackRate.map { (8_000...48_000).contains($0) } != false, "a rate that Opus has not")
    let h264 = H264Codec()
    guard h264.accepts(remote: text) else {
      return require(h264.answeredParameters(to: text) == nil, "what is refused is answered")
    }
    guard let answer = h264.answeredParameters(to: text) else { return }
    require(h264.answeredParameters(to: answer) == answer, "an answer is understood as another")
  }
}
