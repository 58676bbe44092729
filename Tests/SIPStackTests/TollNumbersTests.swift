import Testing

@testable import SIPStack

@Suite("Toll numbers") struct TollNumbersTests {
  @Test(
    "a number is seen through separators, parameters and escapes",
    arguments: [
      "sip:+491234@h", "sip:0049123@h", "sip:%2b491234@h", "sip:%30%301234@h", "sip:0-0.(12)@h;user=phone",
      "sips:00;phone-context=+1@h", "sip:01144123@10.0.0.1", "sip:0900123:pw@h", "sip:1-900-1234@h",
      "sip:(+49)123@h", "sip:(+49)/123@h", "sip:0%2000%20123@h", "sip:0/0-123@h",
    ])
  func numbers(uri: String) throws {
    #expect(TollNumbers.standard.contains(try SIPURI(uri)))
  }

  @Test(
    "names, numbers of the house, and what only looks like it are none",
    arguments: ["sip:bob@h", "sip:h", "sip:200@h", "sip:012@h", "sip:00bob@h", "sip:1+49@h", "sip:bob+00@h"])
  func others(uri: String) throws {
    #expect(!TollNumbers.standard.contains(try SIPURI(uri)))
  }

  @Test("the list is read, none is an empty one, and what is no number is refused")
  func list() {
    #expect(TollNumbers("+49, 0137,*21")?.prefixes == ["+49", "0137", "*21"])
    #expect(TollNumbers("none")?.prefixes == [])
    for text in ["", "00,", "abc", "0-0", "none,00", "0+0"] { #expect(TollNumbers(text) == nil, "\(text)") }
  }
}
