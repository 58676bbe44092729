internal import Runtime

/// Lines from standard input, for the commands of `apus run`.
enum LineInput {
  /// Lines without their ends, until the end of the input. Call it once.
  ///
  /// The end of the input is not a command: whoever runs on `/dev/null` goes on without commands.
  static func lines() -> AsyncStream<String> {
    AsyncStream { continuation in
      guard !KeyInput.isElsewhere else { return continuation.finish() }
      let started = DetachedThread.start(name: "input") {
        while let line = readLine() { continuation.yield(line) }
        continuation.finish()
      }
      if !started { continuation.finish() }
    }
  }
}
