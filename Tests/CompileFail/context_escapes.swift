// error: passing closure as a 'sending' parameter risks causing data races
import Runtime

func leak(_ loop: EventLoop) {
  loop.execute { context in
    Task.detached { _ = context.now }
  }
}
