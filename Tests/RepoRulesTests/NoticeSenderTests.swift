import Testing

/// An event that programs are promised is one that somebody sends.
@Suite struct NoticeSenderTests {
  @Test("every kind of notice has a sender")
  func senders() throws {
    let declared = try #require(Repository.text(of: "Sources/ModuleKit/AgentNotice.swift"))
    let kinds = declared.split(separator: "\n").compactMap { line -> String? in
      let words = line.split(separator: " ")
      return words.count == 4 && words[0] == "case" && words[2] == "=" ? String(words[1]) : nil
    }
    #expect(kinds.count >= 30)
    let code = Repository.swiftFiles(below: "Sources/UACore", "Modules/*/Sources").compactMap {
      Repository.text(of: $0)
    }
    for kind in kinds {
      let uses = ["(.\(kind),", "(.\(kind))", "? .\(kind) :", ": .\(kind),"]
      #expect(code.contains { text in uses.contains { text.contains($0) } }, "nobody sends .\(kind)")
    }
  }
}
