/// First in, first out, for what can't be copied.
struct Queue<Element: ~Copyable>: ~Copyable {
  private final class Box {
    var element: Element?
    init(_ element: consuming Element) { self.element = consume element }
  }

  private var boxes: [Box] = []

  mutating func append(_ element: consuming Element) { self.boxes.append(Box(element)) }

  mutating func removeFirst() -> Element? {
    self.boxes.isEmpty ? nil : self.boxes.removeFirst().element.take()
  }

  mutating func removeAll() { self.boxes.removeAll() }
}
