internal import ModuleKit
internal import NetBase
internal import Runtime

/// A sound file that is played here, outside any call; lives on main.
final class LocalSound {
  private let source: any AudioStage
  private let player: any AudioStage
  private let stream: StreamID
  private let context: LoopContext
  private var samples: [Int16]
  private var due: Instant
  private var isOver = false

  /// Milliseconds of a frame.
  static let packetTime = 20
  static let format = AudioFormat(sampleRate: 48_000, channels: 1)

  init(_ plan: StagePlan, on context: LoopContext) throws(ModuleError) {
    (self.source, self.player) = try plan.makeOnMain()
    self.stream = plan.stream
    self.context = context
    self.samples = Array(repeating: 0, count: plan.format.sampleCount(milliseconds: plan.packetTime))
    self.due = context.now
  }

  /// Plays the next frame, and has itself called again until the file is over.
  func play() {
    guard !self.isOver else { return }
    var frame = AudioFrame(samples: self.samples.mutableSpan, direction: .transmit, stream: self.stream)
    let verdict = self.source.process(&frame)
    var played = AudioFrame(samples: self.samples.mutableSpan, direction: .receive, stream: self.stream)
    _ = self.player.process(&played)
    if case .end = verdict { return self.stop() }
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
  /// - Parameter file: a path; what begins with no slash lies in `audio_path`, where that is set.
  /// - Returns: the path.
  func play(file: String) throws(CommandFailure) -> String {
    let configuration = self.settings.configuration
    guard let device = configuration.audioAlert ?? configuration.audioPlayer else {
      throw CommandFailure("there is nothing to play on: set audio_alert or audio_player in the config")
    }
    let folder = configuration.audioPath.map { $0.hasSuffix("/") ? $0 : "\($0)/" } ?? ""
    let path = file.hasPrefix("/") ? file : folder + file
    do {
      let plan = try self.environment.planner.plan(
        source: AudioDevice(driver: "aufile", device: path), player: device, format: LocalSound.format,
        packetTime: LocalSound.packetTime, stream: StreamID(number: .max), isFiltered: false, failed: { _ in })
      let sound = try LocalSound(plan, on: self.context)
      self.localSound = sound
      sound.play()
    } catch { throw CommandFailure("\(error)") }
    return path
  }

  func stopLocalSound() {
    self.localSound?.stop()
    self.localSound = nil
  }
}
