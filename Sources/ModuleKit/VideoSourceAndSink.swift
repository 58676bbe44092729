public import NetBase

/// Brings the encoded frames that a stream sends; owned by one executor.
public protocol VideoSource: AnyObject {
  /// When the next frame is due, where time says so; nil where `wake` of the request does.
  var nextDeadline: Instant? { get }
  /// Gives the next frame that is due to `send`; false when there is none. Neither allocates nor blocks.
  func next(now: Instant, _ send: (RawSpan, VideoFrameInfo) -> Void) -> Bool
  /// The peer can't decode what comes until there is a key frame (RFC 4585 §6.3.1).
  func requestKeyFrame()
  /// The last call.
  func finish()
}

/// Takes the encoded frames that a stream receives, in order; owned by one executor.
public protocol VideoSink: AnyObject {
  /// Takes a frame; neither allocates nor blocks. Every frame can be decoded after those before it.
  func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant)
  /// Whether the next frame should be one that can be decoded without those before it; asked after each frame and at
  /// `wake` of the request, and answered once.
  func takeKeyFrameRequest() -> Bool
  /// The last call: files are completed.
  func finish()
}

/// What the core asks a video driver to open.
public struct VideoRequest: Sendable {
  /// The driver's own name for the device; empty when none was given.
  public let device: String
  /// As in `a=rtpmap`, for example `VP8`.
  public let encodingName: String
  /// Whose it will be.
  public let stream: StreamID
  /// Which way its frames go.
  public let direction: MediaDirection
  /// To be called, on any thread, when there is something to ask the source or sink for.
  public let wake: @Sendable () -> Void

  public init(
    device: String, encodingName: String, stream: StreamID, direction: MediaDirection,
    wake: @escaping @Sendable () -> Void
  ) {
    (self.device, self.encodingName, self.stream) = (device, encodingName, stream)
    (self.direction, self.wake) = (direction, wake)
  }
}

/// Runs on the thread that will own the source.
public typealias VideoSourceFactory = @Sendable () throws(ModuleError) -> sending any VideoSource
/// Runs on the thread that will own the sink.
public typealias VideoSinkFactory = @Sendable () throws(ModuleError) -> sending any VideoSink
/// Called on main when a call has agreed on video: validates the request and returns what the source's owner calls.
public typealias VideoSourceOffer = @Sendable (VideoRequest) throws(ModuleError) -> VideoSourceFactory
/// Called on main when a call has agreed on video: validates the request and returns what the sink's owner calls.
public typealias VideoSinkOffer = @Sendable (VideoRequest) throws(ModuleError) -> VideoSinkFactory
