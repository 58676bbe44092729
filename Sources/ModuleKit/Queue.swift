/// First in, first out, for what can't be copied: what a session or a machine of a module has to say, until it is taken.
package struct Queue<Element: ~Copyable>: ~Copyable {
  private final class Box {
    var element: Element?
    init(_ element: consuming Element) { self.element = consume element }
  }

  private var boxes: [Box] = []

  package init() {}

  package mutating func append(_ element: consuming Element) { self.boxes.append(Box(element)) }

  /// Nil when there is nothing.
  package mutating func removeFirst() -> Element? {
    self.boxes.isEmpty ? nil : self.boxes.removeFirst().element.take()
  }

  package mutating func removeAll() { self.boxes.removeAll() }
}
