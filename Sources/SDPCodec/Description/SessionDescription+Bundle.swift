extension SessionDescription {
  /// The place of the section whose transport this section has: the first of its BUNDLE group that is in use
  /// (RFC 9143 §7.2.1); nil where it is in no group.
  package func taggedIndex(of section: MediaDescription) -> Int? {
    guard let mid = section.mid, let group = self.bundles.first(where: { $0.contains(mid) }) else { return nil }
    return group.lazy.compactMap { name in self.media.firstIndex { $0.mid == name && $0.port != 0 } }.first
  }

  /// The section whose transport this section has; nil where it is in no group.
  func taggedSection(of section: MediaDescription) -> MediaDescription? {
    self.taggedIndex(of: section).map { self.media[$0] }
  }

  /// Whether two sections are in one BUNDLE group.
  package func bundles(_ one: MediaDescription, _ other: MediaDescription) -> Bool {
    guard let first = one.mid, let second = other.mid else { return false }
    return self.bundles.contains { $0.contains(first) && $0.contains(second) }
  }
}
