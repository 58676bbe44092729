internal import Testing

@testable internal import SIPStack

/// What a publisher sends, and when (RFC 3903 §4).
@Suite struct PublicationTests {
  private static func send(_ expires: Int, _ tag: String? = nil, hasBody: Bool) -> Publication.Action {
    var headers = [
      Publication.Header(name: "Event", value: "presence"), Publication.Header(name: "Expires", value: "\(expires)"),
    ]
    if let tag { headers.append(Publication.Header(name: "SIP-If-Match", value: tag)) }
    return .send(headers: headers, hasBody: hasBody)
  }

  private static func headers(_ fields: (String, String)...) -> SIPHeaders {
    var headers = SIPHeaders()
    for (name, value) in fields { headers.append(name, value) }
    return headers
  }

  private static func published(_ expires: Int = 600, tag: String = "a") -> Publication {
    var publication = Publication(event: "presence", expires: expires)
    #expect(publication.publish() == Self.send(expires, hasBody: true))
    let next = publication.take(
      status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", tag), ("Expires", "\(expires)")))
    #expect(next == .refresh(after: expires - 32))
    return publication
  }

  @Test("the first brings the state, a refresh its tag alone, a change both, and the end an expiry of nothing")
  func life() {
    var publication = Self.published()
    #expect(publication.refresh() == Self.send(600, "a", hasBody: false))
    let refreshed = publication.take(
      status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", "b"), ("Expires", "50")))
    #expect(refreshed == .refresh(after: 25), "what was granted counts")
    #expect(publication.publish() == Self.send(600, "b", hasBody: true))
    let changed = publication.take(status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", "c")))
    #expect(changed == .refresh(after: 568))
    #expect(publication.remove() == Self.send(0, "c", hasBody: false))
    #expect(publication.remove() == .none && publication.publish() == .none)
    #expect(publication.take(status: 200, reason: "OK") == .over)
    #expect(publication.refresh() == .none && publication.publish() == .none && publication.retry() == .none)
  }

  @Test("a change that comes while a request is under way follows it, once, as does the end")
  func meanwhile() {
    var publication = Publication(event: "presence", expires: 600)
    _ = publication.publish()
    #expect(publication.publish() == .none && publication.publish() == .none && publication.refresh() == .none)
    let follows = publication.take(status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", "a")))
    #expect(follows == Self.send(600, "a", hasBody: true))
    #expect(publication.remove() == .none)
    let leaves = publication.take(status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", "b")))
    #expect(leaves == Self.send(0, "b", hasBody: false))
    #expect(publication.take(status: nil, reason: "no answer") == .over)
  }

  @Test("412: the compositor has nothing of ours, so the whole state is published anew, three times in a row at most")
  func unknownTag() {
    var publication = Self.published()
    _ = publication.refresh()
    #expect(publication.take(status: 412, reason: "Conditional Request Failed") == Self.send(600, hasBody: true))
    for tag in ["b", "c", "d", "e"] {
      let next = publication.take(status: 200, reason: "OK", headers: Self.headers(("SIP-ETag", tag)))
      #expect(next == .refresh(after: 568))
      _ = publication.refresh()
      #expect(publication.take(status: 412, reason: "x") == Self.send(600, hasBody: true), "each was taken in between")
    }
    // An answer of 412 to what named no tag is a refusal.
    #expect(publication.take(status: 412, reason: "x") == .retry(after: 30, reason: "412 x"))
    var leaving = Self.published()
    _ = leaving.remove()
    #expect(leaving.take(status: 412, reason: "x") == .over)
  }

  @Test("423: it is asked for what the compositor takes at least, and no more often than three times")
  func tooBrief() {
    var publication = Publication(event: "presence", expires: 10)
    _ = publication.publish()
    for minimum in [60, 120, 180] {
      let next = publication.take(status: 423, reason: "x", headers: Self.headers(("Min-Expires", "\(minimum)")))
      #expect(next == Self.send(minimum, hasBody: true))
    }
    let refused = publication.take(status: 423, reason: "x", headers: Self.headers(("Min-Expires", "240")))
    #expect(refused == .retry(after: 30, reason: "423 x"))
    for value in ["5", "none", "99999999999"] {
      var other = Publication(event: "presence", expires: 10)
      _ = other.publish()
      let next = other.take(status: 423, reason: "x", headers: Self.headers(("Min-Expires", value)))
      #expect(next == .retry(after: 30, reason: "423 x"))
    }
    var refresh = Self.published(90)
    _ = refresh.refresh()
    let next = refresh.take(status: 423, reason: "x", headers: Self.headers(("Min-Expires", "120")))
    #expect(next == Self.send(120, "a", hasBody: false))
  }

  @Test("what is refused is tried again with the whole state, later each time, or when the compositor says")
  func refused() {
    var publication = Publication(event: "presence", expires: 600)
    _ = publication.publish()
    for wait in [30, 60, 120, 240, 480, 960, 1800, 1800, 1800] {
      #expect(publication.take(status: 489, reason: "Bad Event") == .retry(after: wait, reason: "489 Bad Event"))
      #expect(publication.refresh() == .none)
      #expect(publication.retry() == Self.send(600, hasBody: true))
    }
    #expect(publication.take(status: nil, reason: "no answer") == .retry(after: 1800, reason: "no answer"))
    #expect(publication.publish() == Self.send(600, hasBody: true), "a change does not wait")
    let asked = publication.take(status: 503, reason: "x", headers: Self.headers(("Retry-After", "7 (soon)")))
    #expect(asked == .retry(after: 7, reason: "503 x"))
    #expect(publication.remove() == .over, "there is nothing to be taken back")
  }

  @Test("without a tag in the answer a refresh is the whole state, and there is no end to be told")
  func withoutTag() {
    var publication = Publication(event: "presence", expires: 600)
    _ = publication.publish()
    #expect(publication.take(status: 200, reason: "OK") == .refresh(after: 568))
    #expect(publication.refresh() == Self.send(600, hasBody: true))
    #expect(publication.take(status: 200, reason: "OK") == .refresh(after: 568))
    #expect(publication.remove() == .over)
  }

  @Test("an end that comes while a change is refused takes back what was published before")
  func endAfterRefusal() {
    var publication = Self.published()
    _ = publication.publish()
    #expect(publication.remove() == .none)
    #expect(publication.take(status: 500, reason: "x") == Self.send(0, "a", hasBody: false))
    #expect(publication.take(status: 500, reason: "x") == .over)
    var first = Publication(event: "presence", expires: 600)
    _ = first.publish()
    _ = first.remove()
    #expect(first.take(status: 403, reason: "x") == .over)
  }
}
