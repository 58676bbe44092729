internal import SDPCodec

/// What this side wants to send and receive of a call's audio and video (`audio=DIRECTION video=DIRECTION`).
package struct CallDirections: Hashable, Sendable {
  package var audio = AudioDirection.sendrecv
  package var video = AudioDirection.sendrecv

  package init() {}

  /// How they are written.
  static let usage = "a direction, audio= or video= with sendrecv, sendonly, recvonly or inactive"

  /// What `words` change of these; nil where there are none, or one of them is no direction. One without a name is that
  /// of audio and video both.
  func changed(by words: some Collection<String>) -> CallDirections? {
    guard !words.isEmpty else { return nil }
    var changed = self
    for word in words {
      let (isAudio, isVideo) = (word.hasPrefix("audio="), word.hasPrefix("video="))
      guard let direction = AudioDirection(rawValue: isAudio || isVideo ? String(word.dropFirst(6)) : word) else {
        return nil
      }
      if !isVideo { changed.audio = direction }
      if !isAudio { changed.video = direction }
    }
    return changed
  }
}

extension CallMedia {
  /// What this side wants when it does not hold the peer, from the next offer or answer on.
  var directions: CallDirections {
    get {
      var all = CallDirections()
      all.audio = self.direction
      if let video { all.video = video.direction }
      return all
    }
    set {
      self.direction = newValue.audio
      self.video?.direction = newValue.video
    }
  }
}
