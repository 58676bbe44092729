/// The most that a stage promises about threads.
public enum ThreadSafety: String, CaseIterable, Sendable {
  /// Touched on the main loop only.
  case mainOnly
  /// Shared between streams; correct under one outside lock.
  case lockable
  /// One owner for life, on whichever single thread that is.
  case confined
  /// Any thread, any time.
  case concurrent
}

/// Where the packets of a call are received (`rtp_rxmode`).
public enum RxMode: String, CaseIterable, Sendable {
  /// On the main loop itself: few calls, smallest footprint.
  case main
  /// On a thread of the transport's own.
  case thread
  /// On one of `rtp_rx_workers` threads, the same one for the transport's life.
  case pool
}

/// How far the core may go to save a stage that promises too little (`rtp_rxmode_policy`).
public enum AdmissionPolicy: String, CaseIterable, Sendable {
  /// Nothing: such a stage is refused.
  case reject
  /// A lock around a `lockable` stage.
  case lock
  /// As `lock`, and a `mainOnly` stage runs on the main loop, with every stage that follows it.
  case marshal
}
