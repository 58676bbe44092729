import Testing

@testable import alsa

@Suite struct MedianTests {
  @Test("the middle one is found, outliers do not count, and each window is a new one")
  func middle() {
    var median = Median(capacity: 5)
    for value in [7, 900, 5, -900, 6] { median.insert(value) }
    #expect(median.take() == 6 && median.count == 0)
    for value in [3, 3, 1] { median.insert(value) }
    #expect(median.take() == 3)
    for value in 1...9 { median.insert(value) }
    #expect(median.take() == 3, "what is over the capacity does not count")
    median.insert(4)
    median.forget()
    median.insert(2)
    #expect(median.take() == 2 && median.take() == 0)
  }
}
