import ModuleKit
import NetBase
import Testing

@testable import dtls_srtp

private let markName = "apus-dtls-mark"

/// Two sessions that have agreed on their first association.
private func makeAgreed(
  _ keepsPorts: (Bool, Bool) = (true, true)
) throws -> (one: any MediaEncryptionSession, other: any MediaEncryptionSession) {
  let (one, other) = (try makeSession(keepsPorts: keepsPorts.0), try makeSession(keepsPorts: keepsPorts.1))
  let answer = try other.answer(to: description(one.offerAttributes()))
  try one.receive(answer: description(answer, from: addressB))
  other.answerConfirmed()
  _ = (try told(one), try told(other))
  return (one, other)
}

@Suite("Marks in SDP: who gets a new association on the ports in use") struct SessionMarkTests {
  @Test("the offerer chooses the mark, the answerer repeats it, and both stay on their ports; each time anew")
  func agreed() throws {
    let (one, other) = try makeAgreed()
    var marks: Set<String?> = ["00000000"]
    for (offerer, answerer) in [(one, other), (other, one), (one, other)] {
      let (home, away) = offerer === one ? (addressA, addressB) : (addressB, addressA)
      #expect(offerer.requestRekey())
      let offer = try offerer.offerAttributes()
      let answer = try answerer.answer(to: description(offer, from: home))
      try offerer.receive(answer: description(answer, from: away))
      answerer.answerConfirmed()
      #expect(value(of: markName, answer) == value(of: markName, offer))
      #expect(marks.insert(value(of: markName, offer)).inserted)
      #expect(offerer.takeAssociationPath() == .inUse && answerer.takeAssociationPath() == .inUse)
      let ends = (try told(offerer), try told(answerer))
      #expect(ends.0.order == "ms" && ends.1.order == "ms")
      // A re-offer that asks for nothing new says the same.
      let again = try answerer.offerAttributes()
      #expect(value(of: markName, again) == value(of: markName, offer))
      #expect(try value(of: markName, offerer.answer(to: description(again, from: away))) == value(of: markName, offer))
      try answerer.receive(answer: description(offerer.answer(to: description(again, from: away)), from: home))
      #expect(try told(offerer).order.isEmpty && told(answerer).order.isEmpty)
    }
    #expect(marks.count == 4)
  }

  @Test(
    "an end that wants new ports says nothing of marks, and gets new ports", arguments: [(true, false), (false, true)])
  func unwanted(keepsPorts: (Bool, Bool)) throws {
    let (one, other) = try makeAgreed(keepsPorts)
    for (offerer, answerer) in [(one, other), (other, one)] {
      #expect(offerer.requestRekey())
      let offer = try offerer.offerAttributes()
      let answer = try answerer.answer(to: description(offer))
      try offerer.receive(answer: description(answer))
      answerer.answerConfirmed()
      #expect(value(of: markName, answer) == nil)
      #expect(value(of: markName, offer) ?? "00000000" == "00000000")
      #expect(offerer.takeAssociationPath() == .another && answerer.takeAssociationPath() == .another)
    }
  }

  @Test("a peer of another make is told of marks once, in the first offer, and gets new ports")
  func foreignPeer() throws {
    let session = try makeSession()
    func foreign(_ id: String) -> RemoteSecurity {
      description([
        DescriptionAttribute("fingerprint", other256), DescriptionAttribute("setup", "active"),
        DescriptionAttribute("tls-id", id),
      ])
    }
    #expect(try value(of: markName, session.offerAttributes()) == "00000000")
    try session.receive(answer: foreign("abc3de65cddef001be82"))
    #expect(session.requestRekey())
    #expect(try value(of: markName, session.offerAttributes()) == nil)
    #expect(session.takeAssociationPath() == .another)
    try session.receive(answer: foreign("abc3de65cddef001be83"))
    let answer = try session.answer(to: foreign("abc3de65cddef001be84"))
    #expect(value(of: markName, answer) == nil && session.takeAssociationPath() == .another)
  }

  @Test("a peer that has moved is met on new ports, under the mark that it chose")
  func movedPeer() throws {
    let (one, other) = try makeAgreed()
    #expect(one.requestRekey())
    let offer = try one.offerAttributes()
    let answer = try other.answer(to: description(offer, from: addressA.with(port: 4002)))
    #expect(other.takeAssociationPath() == .another)
    #expect(value(of: markName, answer) == value(of: markName, offer) && value(of: markName, offer) != "00000000")
  }

  @Test("a peer that names another address of the checks that it had has not moved, and one with other checks has")
  func chosenAddress() throws {
    for (checks, path) in [("abcd", AssociationPath.inUse), ("efgh", AssociationPath.another)] {
      let (one, other) = (try makeSession(keepsPorts: true), try makeSession(keepsPorts: true))
      let known = [DescriptionAttribute("ice-ufrag", "abcd")]
      let answer = try other.answer(to: description(one.offerAttributes() + known))
      try one.receive(answer: description(answer, from: addressB))
      other.answerConfirmed()
      #expect(one.requestRekey())
      let offer = try one.offerAttributes() + [DescriptionAttribute("ice-ufrag", checks)]
      _ = try other.answer(to: description(offer, from: addressA.with(port: 4002)))
      #expect(other.takeAssociationPath() == path, "\(checks)")
    }
  }

  @Test("an answer without the offered mark is refused: on the ports in use nothing would tell the associations apart")
  func answerWithoutMark() throws {
    for change in [nil, "00000000", "12345678", "nonsense"] as [String?] {
      let (one, other) = try makeAgreed()
      #expect(one.requestRekey())
      let answer = try other.answer(to: description(one.offerAttributes()))
      let changed =
        answer.filter { $0.name != markName } + (change.map { [DescriptionAttribute(markName, $0)] } ?? [])
      #expect(reason { try one.receive(answer: description(changed, from: addressB)) }?.contains("mark") == true)
      one.rollback()
      #expect(try told(one).order.hasSuffix("w"))
    }
  }

  @Test("an offer that repeats the mark in use is answered without one, on new ports")
  func repeatedMark() throws {
    let (one, other) = try makeAgreed()
    #expect(one.requestRekey())
    var offer = try one.offerAttributes()
    _ = try other.answer(to: description(offer))
    other.answerConfirmed()
    #expect(other.takeAssociationPath() == .inUse)
    offer = offer.map { $0.name == "tls-id" ? DescriptionAttribute("tls-id", "abc3de65cddef001be82") : $0 }
    let answer = try other.answer(to: description(offer))
    #expect(other.takeAssociationPath() == .another && value(of: markName, answer) == "00000000")
  }

  @Test("after a handshake with a mark that failed, the next offer asks for an association with ports of its own")
  func failure() throws {
    let (one, other) = try makeAgreed()
    #expect(one.requestRekey())
    let answer = try other.answer(to: description(one.offerAttributes()))
    try one.receive(answer: description(answer, from: addressB))
    other.answerConfirmed()
    #expect(one.takeAssociationPath() == .inUse && other.takeAssociationPath() == .inUse)
    one.associationFailed()
    let offer = try one.offerAttributes()
    #expect(value(of: markName, offer) == "00000000" && one.takeAssociationPath() == .another)
    let second = try other.answer(to: description(offer, from: addressA.with(port: 4002)))
    #expect(value(of: markName, second) == "00000000" && other.takeAssociationPath() == .another)
    try one.receive(answer: description(second, from: addressB.with(port: 4002)))
    // It is not tried again in this call, but answered.
    #expect(one.requestRekey())
    #expect(try value(of: markName, one.offerAttributes()) == "00000000")
  }
}
