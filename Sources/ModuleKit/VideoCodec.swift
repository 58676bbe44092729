internal import NetBase

/// How the frames of a video codec travel in RTP. They pass as they were encoded: nothing is encoded or decoded here.
///
/// The RTP clock runs at 90 kHz. State belongs to one direction of one stream: packetizer and depacketizer are `confined`.
public protocol VideoCodec: Sendable {
  /// As in `a=rtpmap`, for example `VP8`.
  var encodingName: String { get }
  /// `a=fmtp` parameters of an offer; nil for none.
  var offeredParameters: String? { get }
  /// Whether what the peer describes can be sent and received.
  func accepts(remote: String?) -> Bool
  /// `a=fmtp` parameters of an answer to parameters that are accepted; nil for none.
  func answeredParameters(to remote: String?) -> String?
  /// A sending half, for the peer's parameters.
  func makePacketizer(remote: String?) -> sending any VideoPacketizer
  /// A receiving half.
  func makeDepacketizer() -> sending any VideoDepacketizer
}

/// What is known of an encoded frame, beside its bytes.
public struct VideoFrameInfo: Hashable, Sendable {
  /// On the RTP clock, 90 kHz.
  public let timestamp: UInt32
  /// Whether it can be decoded without those before it.
  public let isKeyFrame: Bool

  public init(timestamp: UInt32, isKeyFrame: Bool) { (self.timestamp, self.isKeyFrame) = (timestamp, isKeyFrame) }
}

/// Cuts frames into payloads; owned by one executor.
public protocol VideoPacketizer: AnyObject {
  /// Begins a frame, whose bytes every `next` gets.
  func begin(_ frame: RawSpan)
  /// Writes the frame's next payload, which takes all of `payload` at most; nil after the last, and for bytes that are no
  /// frame of the codec.
  func next(_ frame: RawSpan, into payload: inout MutableRawSpan) -> VideoPayload?
}

/// One payload of a frame.
public struct VideoPayload: Hashable, Sendable {
  /// Its length, in bytes.
  public let count: Int
  /// Whether the frame ends with it: the packet has the marker.
  public let isLast: Bool

  public init(count: Int, isLast: Bool) { (self.count, self.isLast) = (count, isLast) }
}

/// Puts frames together from payloads; owned by one executor.
public protocol VideoDepacketizer: AnyObject {
  /// Where a payload stands in its frame; nil when it is malformed.
  func place(of payload: RawSpan) -> VideoPayloadPlace?
  /// Appends what a payload brings to the frame, in order; false when it is malformed or the frame's room is full.
  func append(_ payload: RawSpan, to frame: inout VideoFrameRoom) -> Bool
}

/// Where a payload stands in its frame.
public struct VideoPayloadPlace: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A frame begins with it for certain; without this it may.
  public static let beginsFrame = VideoPayloadPlace(rawValue: 1)
  /// The frame that it is of can be decoded without those before it.
  public static let isOfKeyFrame = VideoPayloadPlace(rawValue: 2)
  /// It brings nothing to the frame, as a payload of a type that is to be ignored; it is sound, and is not appended.
  public static let isIgnored = VideoPayloadPlace(rawValue: 4)
}
