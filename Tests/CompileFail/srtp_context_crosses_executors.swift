// error: sending 'context' risks causing data races
import SRTPEngine

actor Other {
  private var context: InboundSRTP?
  func take(_ context: consuming InboundSRTP) { self.context = consume context }
}

/// A context belongs to its transport's executor: it is not `Sendable`.
func leak(_ context: consuming InboundSRTP, to other: Other) async {
  await other.take(context)
}
