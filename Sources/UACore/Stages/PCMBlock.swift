package import ModuleKit

/// A frame's samples with an owner of their own, for the way to another thread.
@safe package struct PCMBlock: ~Copyable, @unchecked Sendable {  // the memory is reachable through this value only
  private let memory: UnsafeMutableBufferPointer<Int16>
  private let count: Int

  package init(_ samples: Span<Int16>) {
    self.init(count: samples.count)
    for index in samples.indices { unsafe self.memory[index] = samples[index] }
  }

  /// Silence.
  package init(count: Int) {
    self.count = count
    unsafe self.memory = .allocate(capacity: count)
    unsafe self.memory.initialize(repeating: 0)
  }

  deinit { unsafe self.memory.deallocate() }

  /// Calls `body` with the block as a frame.
  package mutating func withFrame<Result>(
    direction: MediaDirection, stream: StreamID, _ body: (inout AudioFrame) -> Result
  ) -> Result {
    var frame = unsafe AudioFrame(samples: self.memory.mutableSpan, direction: direction, stream: stream)
    return body(&frame)
  }

  /// Copies its samples from `start` on to `place` and what follows it, as many as fit; returns how many.
  package borrowing func copy(from start: Int, into samples: inout MutableSpan<Int16>, at place: Int) -> Int {
    let fitting = min(self.count - start, samples.count - place)
    for index in 0..<fitting { samples[place + index] = unsafe self.memory[start + index] }
    return fitting
  }
}
