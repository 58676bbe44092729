internal import ModuleKit
internal import NetBase
internal import Runtime

/// What the device for alerts lets hear of the calls, besides the calls: ringing, call waiting, ringback, and why a call
/// of ours did not come to be. Without that device, nothing. Lives on main, with its agent.
final class CallTones {
  private unowned let core: AgentCore
  private var playing: CallTone?
  private var sound: LocalSound?
  /// Calls that nobody wants to hear ring any more (`stopringing`).
  private var silenced: Set<CallID> = []
  /// What is done when the tone that is played now was heard to its end; nothing takes its place before.
  private var afterwards: [() -> Void] = []

  init(core: AgentCore) { self.core = core }

  /// Told of every event, when the calls are as it says.
  func take(_ event: AgentEvent) {
    if case .ended(let report) = event {
      self.silenced.remove(report.id)
      self.explain(report)
    }
    self.update()
  }

  /// Brings what is heard to what the calls are now.
  func update() {
    guard self.core.settings.configuration.audioAlert != nil, self.afterwards.isEmpty else { return }
    if let wanted = self.wanted {
      if wanted != self.playing { self.play(wanted) }
    } else if self.playing?.rounds == nil || self.isInUse {
      self.stop()
    }
  }

  /// Has the calls that ring now ring in silence.
  func silence() {
    for call in self.core.calls.values where call.rings { self.silenced.insert(call.id) }
    self.update()
  }

  /// Plays a tone to its end, and then does something; at once where nothing can be heard.
  func announce(_ tone: CallTone, then: @escaping () -> Void) {
    guard self.core.settings.configuration.audioAlert != nil else { return then() }
    self.afterwards.append(then)
    guard self.afterwards.count == 1 else { return }
    self.play(tone)
    if self.sound == nil { self.announced() }
  }

  private func announced() {
    let afterwards = self.afterwards
    self.afterwards = []
    for each in afterwards { each() }
  }

  func stop() {
    self.sound?.stop()
    (self.sound, self.playing) = (nil, nil)
  }

  /// What goes on as long as a call is in that state.
  private var wanted: CallTone? {
    let calls = self.core.calls.values
    let stands = calls.contains { $0.state == .established }
    if calls.contains(where: { $0.rings && !self.silenced.contains($0.id) }) { return stands ? .callWaiting : .ring }
    guard !stands, !self.core.settings.configuration.isRingbackDisabled else { return nil }
    // Early media is the network's own tone.
    let ours = calls.filter(\.isOutgoing)
    return ours.contains { $0.state == .ringing } && !ours.contains { $0.state == .early } ? .ringback : nil
  }

  /// Whether there is any call.
  private var isInUse: Bool { self.core.calls.values.contains { $0.state != .ended } }

  private func explain(_ report: CallReport) {
    guard self.core.settings.configuration.audioAlert != nil, self.afterwards.isEmpty, !self.core.isClosing,
      !self.isInUse,
      report.isOutgoing, report.setup == nil, report.failure != nil
    else { return }
    self.play(CallTone(refusal: report.status))
  }

  private func play(_ tone: CallTone) {
    self.stop()
    self.playing = tone
    let configuration = self.core.settings.configuration
    let file = configuration.toneFiles[tone]
    guard file != "none" else { return }
    do throws(CommandFailure) {
      do throws(CommandFailure) {
        self.sound = try self.core.localSound(file.map { .file(configuration.soundPath($0)) } ?? .tone(tone))
      } catch {
        guard file != nil else { throw error }
        self.core.warn("\(tone.rawValue)_aufile: \(error); a tone is heard instead")
        self.sound = try self.core.localSound(.tone(tone))
      }
    } catch { self.core.warn("\(tone.rawValue): nothing is heard: \(error)") }
    self.sound?.onEnd = { [weak self] in self?.ended(tone) }
    self.sound?.play()
  }

  /// A file is over: what rings is played again.
  private func ended(_ tone: CallTone) {
    guard self.playing == tone else { return }
    (self.sound, self.playing) = (nil, nil)
    guard self.afterwards.isEmpty else {
      self.announced()
      return self.update()
    }
    guard tone.rounds == nil else { return }
    // A file may be empty.
    let next = self.core.context.now.advanced(byMilliseconds: Int64(LocalSound.packetTime))
    self.core.context.schedule(at: next) { [weak self] in self?.update() }
  }
}

extension Call {
  /// Whether it waits for a person, who is to hear of it.
  fileprivate var rings: Bool { self.isWaiting && self.state != .incoming && !self.answersItself }
}
