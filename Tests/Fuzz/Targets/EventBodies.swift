import SIPStack

/// Bodies of NOTIFY and INFO: what is read is written, and read again the same.
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

  static func mailbox(_ bytes: [UInt8]) {
    let type = "application/simple-message-summary"
    guard let voice = MessageSummary(SIPBody(contentType: type, bytes: bytes))?.voice else { return }
    require(
      [voice.new, voice.old, voice.urgentNew, voice.urgentOld].allSatisfy { (0...Int(Int32.max)).contains($0) },
      "so many messages there can't be")
  }

  /// The first byte says which form of a digit it is.
  static func digit(_ bytes: [UInt8]) {
    let type = (bytes.first ?? 0) & 1 == 0 ? "application/dtmf-relay" : "application/dtmf"
    guard let info = DTMFInfo(SIPBody(contentType: type, bytes: Array(bytes.dropFirst()))) else { return }
    require(DTMFInfo(info.relayBody) == info, "a digit that was read is written as another")
    require(DTMFInfo(info.plainBody)?.digit == info.digit, "a digit alone is written as another")
  }
}
