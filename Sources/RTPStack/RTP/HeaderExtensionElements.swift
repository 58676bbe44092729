internal import NetBase

/// The elements of a header extension (RFC 8285 §4), read where they are: nothing is copied.
///
/// Reading ends at what is malformed; what stands before it counts.
package struct HeaderExtensionElements {
  /// One element: its local identifier, and where its data is in the packet.
  package struct Element: Equatable, Sendable {
    /// 1 to 14 in the one-byte form, 1 to 255 in the two-byte form.
    package let id: UInt8
    package let bytes: Range<Int>

    package init(id: UInt8, bytes: Range<Int>) { (self.id, self.bytes) = (id, bytes) }
  }

  private enum Form {
    case oneByte
    case twoByte
  }

  private let form: Form
  private let end: Int
  private var place: Int

  /// Nil for an extension whose words are no elements.
  package init?(_ header: RTPHeader.Extension) {
    switch header.profile {
    case 0xBEDE: self.form = .oneByte
    // The low four bits are the application's.
    case 0x1000...0x100F: self.form = .twoByte
    default: return nil
    }
    (self.place, self.end) = (header.bytes.lowerBound, header.bytes.upperBound)
  }

  /// The next element; `packet` is the one whose header was parsed.
  package mutating func next(in packet: RawSpan) -> Element? {
    while self.place < self.end {
      let first = packet.uint8(at: self.place)
      switch self.form {
      case .oneByte:
        let (id, length) = (first >> 4, Int(first & 0x0F) + 1)
        self.place += 1
        switch id {
        case 0 where first == 0: continue
        // Padding that claims a length, and the identifier that is kept for later: nothing after them is read.
        case 0, 15: return self.stop()
        default: return self.take(id, length)
        }
      case .twoByte:
        self.place += 1
        // Padding has no length.
        if first == 0 { continue }
        guard self.place < self.end else { return self.stop() }
        let length = Int(packet.uint8(at: self.place))
        self.place += 1
        return self.take(first, length)
      }
    }
    return nil
  }

  private mutating func take(_ id: UInt8, _ length: Int) -> Element? {
    guard length <= self.end - self.place else { return self.stop() }
    let bytes = self.place..<self.place + length
    self.place = bytes.upperBound
    return Element(id: id, bytes: bytes)
  }

  private mutating func stop() -> Element? {
    self.place = self.end
    return nil
  }
}

extension RTPHeader {
  /// Where the data of the header extension's first element with this identifier is; `packet` is the one that was parsed.
  package func element(_ id: UInt8, in packet: RawSpan) -> Range<Int>? {
    guard let headerExtension, var elements = HeaderExtensionElements(headerExtension) else { return nil }
    while let element = elements.next(in: packet) {
      if element.id == id { return element.bytes }
    }
    return nil
  }
}
