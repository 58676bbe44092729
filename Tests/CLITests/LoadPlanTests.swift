internal import Testing

@testable internal import CLI

@Suite("when the calls of a load begin")
struct LoadPlanTests {
  @Test("they are spread over a packet time, whatever the rate", arguments: [3.0, 10, 50, 100, 130, 500, 2000])
  func spread(rate: Double) {
    let calls = 1000
    var bins = [Int](repeating: 0, count: 20)
    for start in LoadPlan(calls: calls, rate: rate).starts {
      bins[Int((start * 1000).truncatingRemainder(dividingBy: 20))] += 1
    }
    #expect(bins.allSatisfy { 45...55 ~= $0 }, "\(bins)")
  }

  @Test("as many begin in a second as were asked for, in order", arguments: [5.0, 10, 120, 333])
  func rate(rate: Double) {
    let starts = LoadPlan(calls: Int(rate * 10), rate: rate).starts
    #expect(starts == starts.sorted())
    for second in 0..<10 {
      let count = starts.count { Int($0) == second }
      #expect(abs(Double(count) - rate) <= max(3, rate / 20), "\(count) in second \(second)")
    }
  }

  @Test("another packet time is another period")
  func packetTime() {
    var bins = [Int](repeating: 0, count: 40)
    for start in LoadPlan(calls: 1000, rate: 25, packetTime: 40).starts {
      bins[Int((start * 1000).truncatingRemainder(dividingBy: 40))] += 1
    }
    #expect(bins.allSatisfy { 22...28 ~= $0 }, "\(bins)")
  }
}
