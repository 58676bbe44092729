/// How the jitter buffer chooses its delay.
package enum JitterMode: Equatable, Sendable {
  /// No delay: packets come out as they came in; late ones are dropped, and what a burst leaves waiting.
  case off
  /// Begins at the range's lower bound; the delay floats up to the upper bound when packets come late, and goes back
  /// between talkspurts. In milliseconds.
  case fixed(milliseconds: ClosedRange<Int>)
  /// Follows the jitter that is measured, within the range, in milliseconds.
  case adaptive(milliseconds: ClosedRange<Int>)
}
