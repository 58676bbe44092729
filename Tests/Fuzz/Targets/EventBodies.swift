import SIPStack

/// Bodies of NOTIFY: what is read is written, and read again the same.
enum EventBodies {
  static func presence(_ bytes: [UInt8]) {
    guard let document = PIDF(SIPBody(contentType: PIDF.contentType, bytes: bytes)) else { return }
    require(PIDF(document.body)?.state == document.state, "presence that was read can't be read again")
  }

  static func dialogInfo(_ bytes: [UInt8]) {
    guard let document = DialogInfo(SIPBody(contentType: DialogInfo.contentType, bytes: bytes)) else { return }
    let again = DialogInfo(document.body)
    require(
      again?.version == document.version && again?.isFull == document.isFull, "a document of calls can't be read again")
    require(again?.dialogs.map(\.state) == document.dialogs.map(\.state), "its dialogs can't")
    var table = DialogTable()
    table.take(document)
    require(table.states.count <= DialogTable.limit, "more dialogs than there is room for")
  }
}
