/// An array whose first element, often the only one, lies where the array itself does: no memory of its own to be fetched.
struct InlineFirst<Element> {
  private var first: Element?
  private var others: [Element] = []

  var count: Int { self.first == nil ? 0 : self.others.count + 1 }

  var indices: Range<Int> { 0..<self.count }

  subscript(index: Int) -> Element {
    get {
      guard index == 0 else { return self.others[index - 1] }
      guard let first else { preconditionFailure("there is no element") }
      return first
    }
    set {
      precondition(index < self.count, "there is no such element")
      if index == 0 { self.first = newValue } else { self.others[index - 1] = newValue }
    }
  }

  mutating func append(_ element: Element) {
    if self.first == nil { self.first = element } else { self.others.append(element) }
  }
}
