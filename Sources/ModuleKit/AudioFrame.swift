/// Rate and channels of interleaved 16-bit samples.
public struct AudioFormat: Hashable, Sendable, CustomStringConvertible {
  /// Samples a second and channel.
  public let sampleRate: Int
  /// 1 or 2.
  public let channels: Int

  public init(sampleRate: Int, channels: Int) {
    self.sampleRate = sampleRate
    self.channels = channels
  }

  /// Samples of all channels in `milliseconds`.
  public func sampleCount(milliseconds: Int) -> Int { self.sampleRate * milliseconds / 1000 * self.channels }

  public var description: String { "\(self.sampleRate)/\(self.channels)" }
}

/// Which way a frame goes, seen from the agent.
public enum MediaDirection: Sendable {
  /// From a source towards the peer.
  case transmit
  /// From the peer towards a player.
  case receive
}

/// Names a stream of a call within one agent; never used twice.
public struct StreamID: Hashable, Sendable {
  /// Counts from 1.
  public let number: UInt64
  public init(number: UInt64) { self.number = number }
}

/// Some milliseconds of PCM on their way through the stages; it can't be kept.
public struct AudioFrame: ~Copyable, ~Escapable, Sendable {
  /// Interleaved samples of all channels, in the stage's format.
  public var samples: MutableSpan<Int16>
  /// Which way the frame goes.
  public let direction: MediaDirection
  /// Whose frame it is.
  public let stream: StreamID

  @_lifetime(copy samples)
  public init(samples: consuming MutableSpan<Int16>, direction: MediaDirection, stream: StreamID) {
    self.samples = samples
    self.direction = direction
    self.stream = stream
  }
}
