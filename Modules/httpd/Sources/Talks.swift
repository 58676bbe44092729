internal import HTTPServer
package import ModuleKit
internal import NetBase
package import Runtime

/// What a visitor of the page talks to.
package enum TalkPartner: Equatable {
  /// Himself.
  case echo
  /// A file.
  case recording
  /// Whom a SIP call reaches.
  case sip(String)
}

/// The calls of the page's visitors, and the SIP calls that some of them are joined with. Lives on main.
package final class Talks {
  private struct Talk {
    let call: UInt64
    /// Nil while it is looked up, and where there is none.
    var partner: UInt64?
    var failure: String?
  }

  private unowned let host: any ApplicationHost
  let recordings: Recordings
  private let loop: LoopContext
  private var talks: [String: Talk] = [:]
  private var count = 0

  /// Seconds that a recording has at most: whoever forgets it does not fill the disk.
  static let longestRecording = 300

  package init(host: any ApplicationHost, recordings: Recordings, loop: LoopContext) {
    (self.host, self.recordings, self.loop) = (host, recordings, loop)
  }

  /// Answers a visitor's offer.
  ///
  /// - Parameter then: told, once, at once or later, a name that nobody can guess, by which he ends it; and our answer.
  func begin(
    _ partner: TalkPartner, offer: [UInt8], from peer: String,
    then: @escaping (Result<(id: String, answer: [UInt8]), ModuleError>) -> Void
  ) {
    self.count += 1
    let (near, far) = ("httpd-\(self.count)-near", "httpd-\(self.count)-far")
    let recording = partner == .recording ? self.recordings.make() : nil
    let sound =
      switch partner {
      case .echo: Self.sound(source: near, player: near)
      case .sip: Self.sound(source: far, player: near)
      case .recording:
        CallSound(source: nil, player: recording.map { AudioDevice(driver: "aufile", device: $0) })
      }
    self.host.answer(offer, from: "page at \(peer)", sound: sound) { [weak self] result in
      if case .failure = result, let recording { self?.recordings.drop(recording) }
      then(
        result.flatMap { answered in
          guard let self else { return .failure(ModuleError(.unavailable, "the page is no longer served")) }
          return .success((self.begun(answered.call, partner, near, far), answered.answer))
        })
    }
  }

  private func begun(_ call: UInt64, _ partner: TalkPartner, _ near: String, _ far: String) -> String {
    let id = HTTPServer.unguessable()
    self.talks[id] = Talk(call: call)
    switch partner {
    case .echo: break
    case .recording:
      self.recordings.removeOldest()
      self.loop.schedule(at: self.loop.now.advanced(by: .seconds(Self.longestRecording))) { [weak self] in self?.end(id)
      }
    case .sip(let target):
      self.host.dial(target, sound: Self.sound(source: near, player: far)) { [weak self] in self?.dialled(id, $0) }
    }
    return id
  }

  /// False where there is no such talk, or no more.
  @discardableResult
  func end(_ id: String) -> Bool {
    guard let talk = self.talks.removeValue(forKey: id) else { return false }
    self.host.hangUp(talk.call)
    if let partner = talk.partner { self.host.hangUp(partner) }
    return true
  }

  /// The calls of a talk, and why it has no partner; nil where there is none, or no more.
  func calls(of id: String) -> (call: UInt64, partner: UInt64?, failure: String?)? {
    self.talks[id].map { ($0.call, $0.partner, $0.failure) }
  }

  /// A call has ended: so does the one that was joined with it.
  func look() {
    for (id, talk) in self.talks {
      let isOver = !self.host.isOpen(talk.call) || talk.partner.map { !self.host.isOpen($0) } ?? false
      if isOver { self.end(id) }
    }
  }

  package func endAll() {
    for id in self.talks.keys { self.end(id) }
    self.recordings.remove()
  }

  private func dialled(_ id: String, _ result: Result<UInt64, CommandFailure>) {
    switch result {
    case .success(let partner):
      if self.talks[id] == nil { self.host.hangUp(partner) } else { self.talks[id]?.partner = partner }
    case .failure(let failure): self.talks[id]?.failure = failure.description
    }
  }

  private static func sound(source: String, player: String) -> CallSound {
    CallSound(
      source: AudioDevice(driver: "aubridge", device: source), player: AudioDevice(driver: "aubridge", device: player))
  }
}
