internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Our messages for RFC 4475 and RFC 5118")
struct OwnTortureTests {
  @Test(
    "each gets its verdict, and what is still to be done for it ends",
    arguments: TortureCase.valid + TortureCase.invalid + TortureCase.meaning + TortureCase.ipv6)
  func verdict(_ torture: TortureCase) {
    let pair = Pair()
    pair.inject(torture.message, to: .b, from: Pair.addressA)
    let answers = pair.sent.filter { $0.from == .b }.map(\.name)
    switch torture.verdict {
    case .served: #expect(answers.count == 1 && ["100 INVITE", "200 OPTIONS"].contains(answers.first), "\(answers)")
    case .refused(let status):
      #expect(answers.count == 1 && answers.first?.hasPrefix("\(status) ") == true, "\(answers)")
    case .ignored: #expect(answers.isEmpty && pair.b.counters.dropped == 1, "\(answers)")
    }
    #expect((pair.incoming != nil) == (answers.first == "100 INVITE"))
    if let id = pair.incoming { pair.act { pair.b.reject(id, status: 486, now: $0) } }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("no case of RFC 4475 is left out")
  func complete() {
    let names = Set((TortureCase.valid + TortureCase.invalid + TortureCase.meaning).map(\.name))
    let known = """
      badaspec badbranch baddate baddn badinv01 badvers bcast bext01 bigcode clerr cparam01 cparam02 dblreq esc01 esc02
      escnull escruri insuf intmeth inv2543 invut longreq ltgtruri lwsdisp lwsruri lwsstart mcl01 mismatch01 mismatch02
      mpart01 multi01 ncl noreason novelsc quotbal regaut01 regbadct regescrt scalar02 scalarlg sdp01 semiuri transports
      trws unkscm unksm2 unreason wsinv zeromf
      """
    #expect(names == Set(known.split(whereSeparator: \.isWhitespace).map(String.init)))
  }
}
