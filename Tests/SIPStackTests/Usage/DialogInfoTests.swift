internal import SIPStack
internal import Testing

@Suite("Dialog documents (RFC 4235)")
struct DialogInfoTests {
  static func body(_ text: String) -> SIPBody {
    SIPBody(contentType: "application/dialog-info+xml", bytes: Array(text.utf8))
  }

  static func info(_ version: Int, _ dialogs: [(String, DialogInfo.State)], isFull: Bool = true) -> DialogInfo {
    DialogInfo(
      entity: "sip:a@b", version: version, isFull: isFull,
      dialogs: dialogs.map { DialogInfo.Dialog(id: $0.0, isInitiator: nil, state: $0.1) })
  }

  @Test("what is written is read again", arguments: DialogInfo.State.allCases, [true, false, nil])
  func roundTrip(state: DialogInfo.State, isInitiator: Bool?) {
    let document = DialogInfo(
      entity: "sip:a&b@example.test", version: 7, isFull: isInitiator != true,
      dialogs: [
        DialogInfo.Dialog(id: "1<\"2", isInitiator: isInitiator, state: state),
        DialogInfo.Dialog(id: "3", isInitiator: false, state: .confirmed),
      ])
    #expect(DialogInfo(document.body) == document)
  }

  @Test("a phone system's document, with what is not needed (RFC 4235 §6.1)")
  func foreign() {
    let text = """
      <?xml version="1.0"?>
      <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com">
        <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
          <state event="rejected" code="486">terminated</state>
          <duration>274</duration>
          <remote><identity display="Bob">sip:bob@example.org</identity><target uri="sip:bob@x"/></remote>
        </dialog>
        <d:dialog xmlns:d="urn:ietf:params:xml:ns:dialog-info" id="2"><d:state> early </d:state></d:dialog>
      </dialog-info>
      """
    let dialogs = [
      DialogInfo.Dialog(id: "as7d900as8", isInitiator: true, state: .terminated),
      DialogInfo.Dialog(id: "2", isInitiator: nil, state: .early),
    ]
    #expect(
      DialogInfo(Self.body(text)) == DialogInfo(entity: "sip:alice@example.com", version: 0, dialogs: dialogs))
  }

  static let malformed: [String] = [
    "", "<dialog-info/>", "<dialog-info version='1'/>", "<dialog-info state='full'/>",
    "<dialog-info version='-1' state='full'/>", "<dialog-info version='99999999999' state='full'/>",
    "<dialog-info version='1' state='some'/>", "<presence version='1' state='full'/>",
    "<dialog-info version='1' state='full'><dialog><state>early</state></dialog></dialog-info>",
    "<dialog-info version='1' state='full'><dialog id='1'/></dialog-info>",
    "<dialog-info version='1' state='full'><dialog id='1'><state>asleep</state></dialog></dialog-info>",
    "<!DOCTYPE a><dialog-info version='1' state='full'/>",
  ]

  @Test("what is malformed is refused", arguments: malformed)
  func refused(text: String) {
    #expect(DialogInfo(Self.body(text)) == nil)
  }

  @Test("a lamp shows the dialog that has come farthest; old documents say nothing")
  func lamp() {
    var table = DialogTable()
    #expect(table.lamp == nil)
    table.take(Self.info(3, [("1", .trying), ("2", .early)]))
    #expect(table.lamp == .early)
    table.take(Self.info(2, [("1", .confirmed)]))
    #expect(table.lamp == .early)
    table.take(Self.info(4, [("1", .confirmed)], isFull: false))
    #expect(table.lamp == .confirmed && table.states.count == 2)
    table.take(Self.info(5, [("1", .terminated)], isFull: false))
    #expect(table.states == ["2": .early])
    table.take(Self.info(6, []))
    #expect(table.lamp == nil)
  }

  @Test("a notifier without end fills 64 places")
  func bounded() {
    var table = DialogTable()
    for version in 0..<200 { table.take(Self.info(version, [("\(version)", .early)], isFull: false)) }
    #expect(table.states.count == DialogTable.limit)
    table.take(Self.info(200, [("0", .confirmed)], isFull: false))
    #expect(table.lamp == .confirmed)
  }
}
