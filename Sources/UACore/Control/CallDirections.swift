internal import SDPCodec

/// What this side wants to send and receive of a call's audio and video (`audio=DIRECTION video=DIRECTION`).
package struct CallDirections: Hashable, Sendable {
  package var audio = AudioDirection.sendrecv
  package var video = AudioDirection.sendrecv

  package init() {}

  /// What `words` change of these; nil where they name neither. A direction without a name is the audio's.
  func changed(by words: some Sequence<String>) -> CallDirections? {
    var (changed, isChanged) = (self, false)
    for word in words {
      let isVideo = word.hasPrefix("video=")
      let value = isVideo || word.hasPrefix("audio=") ? String(word.dropFirst(6)) : word
      guard let direction = AudioDirection(rawValue: value) else { continue }
      if isVideo { changed.video = direction } else { changed.audio = direction }
      isChanged = true
    }
    return isChanged ? changed : nil
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
