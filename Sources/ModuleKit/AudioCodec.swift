/// What was negotiated for one direction of a codec.
public struct CodecParameters: Hashable, Sendable {
  /// The peer's `a=fmtp` parameters for the payload type, if any.
  public let remoteParameters: String?
  /// Packet time in milliseconds.
  public let packetTime: Int
  /// Bit/s that the configuration asks for; nil for the codec's own choice.
  public let bitrate: Int?

  public init(remoteParameters: String?, packetTime: Int, bitrate: Int?) {
    self.remoteParameters = remoteParameters
    self.packetTime = packetTime
    self.bitrate = bitrate
  }
}

/// An audio codec: what SDP says about it, and factories for its two halves.
///
/// A codec's state belongs to one direction of one stream, so its halves are `confined`: made on the executor that uses
/// them and used nowhere else.
public protocol AudioCodec: Sendable {
  /// As in `a=rtpmap`, for example `opus`.
  var encodingName: String { get }
  /// The RTP clock, in Hz.
  var clockRate: Int { get }
  /// Channels as in `a=rtpmap`.
  var channels: Int { get }
  /// RFC 3551's payload type, where it has one.
  var staticPayloadType: UInt8? { get }
  /// `a=fmtp` parameters of an offer.
  var offeredParameters: String? { get }
  /// `a=fmtp` parameters of an answer; nil for none.
  func answeredParameters(to remote: String?) -> String?
  /// The PCM that the sending half will take; the stages of a stream are planned for it.
  func pcmFormat(_ parameters: CodecParameters) -> AudioFormat
  /// Milliseconds of the packets that are sent where so many were agreed on: no more than those, and encodable.
  func packetTime(fitting agreed: Int) -> Int
  /// A sending half.
  func makeEncoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioEncoder
  /// A receiving half.
  func makeDecoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioDecoder
}

extension AudioCodec {
  /// One channel at the RTP clock's rate.
  public func pcmFormat(_ parameters: CodecParameters) -> AudioFormat {
    AudioFormat(sampleRate: self.clockRate, channels: 1)
  }

  /// Any packet time goes.
  public func packetTime(fitting agreed: Int) -> Int { agreed }
}

/// What an encoder made of a frame.
public enum EncodeResult: Sendable {
  /// The payload's length, in bytes.
  case payload(Int)
  /// Nothing needs to be sent (DTX).
  case silence
  /// The encoder refused: nothing is sent, and the core counts it.
  case failed
}

/// The sending half of a codec; owned by one executor.
public protocol AudioEncoder: AnyObject {
  /// The PCM that it takes; constant.
  var format: AudioFormat { get }
  /// Encodes one packet time of interleaved samples into `payload`.
  func encode(_ samples: Span<Int16>, into payload: inout MutableRawSpan) -> EncodeResult
  /// The loss the peer reports, in percent, for codecs that can protect against it.
  func adapt(lossPercent: Int)
}

/// The receiving half of a codec; owned by one executor.
public protocol AudioDecoder: AnyObject {
  /// The PCM that it gives; constant.
  var format: AudioFormat { get }
  /// Decodes one payload; returns the samples written (all channels), nil when the payload is malformed.
  func decode(_ payload: RawSpan, into samples: inout MutableSpan<Int16>) -> Int?
  /// Fills all of `samples` for a lost packet; `next` is the packet after it, where it is there already (in-band FEC).
  func conceal(next: RawSpan?, into samples: inout MutableSpan<Int16>)
}
