/// What a stage did with a frame.
public enum Verdict: Sendable {
  /// The frame goes on to the next stage.
  case forward
  /// The frame ends here.
  case drop
  /// The frame goes on, and it is the source's last.
  case end
}

/// One link of a stream's chain of PCM: a source fills the frame, a filter changes it, a player consumes it.
///
/// Deliberately not `Sendable`: whoever made it owns it. `process` is called every packet time, by the owner that the
/// module's claim allows; it neither allocates nor blocks.
public protocol AudioStage: AnyObject {
  /// The format in which the stage wants its frames; constant. The core resamples around it.
  var format: AudioFormat { get }
  /// Fills, changes or consumes the frame.
  func process(_ frame: inout AudioFrame) -> Verdict
  /// The last call for this stream: files are completed, shared state forgets the stream.
  func finish(_ stream: StreamID)
}

/// What the core asks a driver to open.
public struct AudioRequest: Hashable, Sendable {
  /// The driver's own name for the device: a file, a frequency; empty when none was given.
  public let device: String
  /// The format of the stream; a driver may have one of its own.
  public let format: AudioFormat
  /// Whose stage it will be.
  public let stream: StreamID
  /// Which way its frames go.
  public let direction: MediaDirection

  public init(device: String, format: AudioFormat, stream: StreamID, direction: MediaDirection) {
    self.device = device
    self.format = format
    self.stream = stream
    self.direction = direction
  }
}

/// Runs on the thread that will own the stage, so the stage never crosses a thread.
public typealias StageFactory = @Sendable () throws(ModuleError) -> sending any AudioStage

/// A claim with the proof that the compiler can check.
///
/// Each case holds what is called on main when a call is set up: it validates the request (a missing file is an error
/// here) and returns what the stage's owner calls. Only a `Sendable` stage can be offered as concurrent; the other cases
/// are factories, and a `@Sendable` factory can't smuggle shared state. A `lockable` stage is made once per device and
/// shared by all streams that name the device.
public enum StageOffer: Sendable {
  case mainOnly(@Sendable (AudioRequest) throws(ModuleError) -> StageFactory)
  case lockable(@Sendable (AudioRequest) throws(ModuleError) -> StageFactory)
  case confined(@Sendable (AudioRequest) throws(ModuleError) -> StageFactory)
  case concurrent(@Sendable (AudioRequest) throws(ModuleError) -> any AudioStage & Sendable)

  /// The claim.
  public var safety: ThreadSafety {
    switch self {
    case .mainOnly: .mainOnly
    case .lockable: .lockable
    case .confined: .confined
    case .concurrent: .concurrent
    }
  }
}
