package import ModuleKit

/// A frame's samples with an owner of their own, for the way to another thread.
@safe package struct PCMBlock: ~Copyable, @unchecked Sendable {  // the memory is reachable through this value only
  private let memory: UnsafeMutableBufferPointer<Int16>

  package init(_ samples: Span<Int16>) {
    self.init(count: samples.count)
    for index in samples.indices { unsafe self.memory[index] = samples[index] }
  }

  /// Silence.
  package init(count: Int) {
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

  /// Copies what fits; the rest of `samples` becomes silence.
  package borrowing func copy(into samples: inout MutableSpan<Int16>) {
    for index in 0..<samples.count { samples[index] = unsafe index < self.memory.count ? self.memory[index] : 0 }
  }
}
