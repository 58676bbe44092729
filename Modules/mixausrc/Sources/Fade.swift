/// A factor that goes evenly from one volume to another, and stays there.
struct Fade {
  let from: Float
  let to: Float
  /// Sampling instants, of all and of those behind.
  let steps: Int
  var done = 0

  var isOver: Bool { self.done >= self.steps }

  func factor(after instants: Int = 0) -> Float {
    let part = min(Float(self.done + instants) / Float(self.steps), 1)
    return self.from + (self.to - self.from) * part
  }
}
