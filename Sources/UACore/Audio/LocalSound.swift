internal import ModuleKit
internal import NetBase
internal import Runtime

/// A sound file or a tone that is played here, outside any call; lives on main.
final class LocalSound {
  /// Where it comes from.
  enum Source {
    /// A path.
    case file(String)
    case tone(CallTone)
  }

  private let source: any AudioStage
  private let player: any AudioStage
  private let stream: StreamID
  private let context: LoopContext
  private var samples: [Int16]
  private var due: Instant
  private var isOver = false
  /// Called when the source has no more.
  var onEnd: () -> Void = {}

  /// Milliseconds of a frame.
  static let packetTime = 20
  static let format = AudioFormat(sampleRate: 48_000, channels: 1)

  /// - Parameter tone: heard in place of the plan's source.
  init(_ plan: StagePlan, tone: CallTone?, on context: LoopContext) throws(ModuleError) {
    let made = try plan.makeOnMain()
    self.source = tone.map { ToneSource($0, format: plan.format) } ?? made.source
    self.player = made.player
    self.stream = plan.stream
    self.context = context
    self.samples = Array(repeating: 0, count: plan.format.sampleCount(milliseconds: plan.packetTime))
    self.due = context.now
  }

  /// Plays the next frame, and has itself called again until the source is over.
  func play() {
    guard !self.isOver else { return }
    var frame = AudioFrame(samples: self.samples.mutableSpan, direction: .transmit, stream: self.stream)
    let verdict = self.source.process(&frame)
    var played = AudioFrame(samples: self.samples.mutableSpan, direction: .receive, stream: self.stream)
    _ = self.player.process(&played)
    if case .end = verdict {
      self.stop()
      return self.onEnd()
    }
    self.due = self.due.advanced(byMilliseconds: Int64(Self.packetTime))
    self.context.schedule(at: self.due) { [weak self] in self?.play() }
  }

  func stop() {
    guard !self.isOver else { return }
    self.isOver = true
    self.source.finish(self.stream)
    self.player.finish(self.stream)
  }
}

extension AgentCore {
  /// Plays a file on the device for alerts, else on that of calls.
  ///
  /// - Returns: the path.
  func play(file: String) throws(CommandFailure) -> String {
    let path = self.settings.configuration.soundPath(file)
    let sound = try self.localSound(.file(path))
    self.localSound = sound
    sound.play()
    return path
  }

  func stopLocalSound() {
    self.localSound?.stop()
    self.localSound = nil
  }

  /// A sound for the device for alerts, else for that of calls.
  func localSound(_ source: LocalSound.Source) throws(CommandFailure) -> LocalSound {
    let configuration = self.settings.configuration
    guard let device = configuration.audioAlert ?? configuration.audioPlayer else {
      throw CommandFailure("there is nothing to play on: set audio_alert or audio_player in the config")
    }
    let (path, tone): (String?, CallTone?) =
      switch source {
      case .file(let path): (path, nil)
      case .tone(let tone): (nil, tone)
      }
    do {
      let plan = try self.environment.planner.plan(
        source: path.map { AudioDevice(driver: "aufile", device: $0) }, player: device, format: LocalSound.format,
        packetTime: LocalSound.packetTime, stream: StreamID(number: .max), isFiltered: false, failed: { _ in })
      return try LocalSound(plan, tone: tone, on: self.context)
    } catch { throw CommandFailure("\(error)") }
  }
}
