internal import ModuleKit

/// The first 32 bytes of a recording, whose time stamps are on the RTP clock.
struct IVFHeader {
  static let length = 32
  static let frameLength = 12

  let coding: IVFCoding
  /// 0 when not known.
  var (width, height) = (0, 0)
  var frameCount = 0

  init(coding: IVFCoding) { self.coding = coding }

  var bytes: [UInt8] {
    var bytes = Array("DKIF".utf8)
    bytes.append(littleEndian16: 0)
    bytes.append(littleEndian16: Self.length)
    bytes += Array(self.coding.rawValue.utf8)
    bytes.append(littleEndian16: self.width)
    bytes.append(littleEndian16: self.height)
    bytes.append(littleEndian32: 90_000)
    bytes.append(littleEndian32: 1)
    bytes.append(littleEndian32: self.frameCount)
    bytes.append(littleEndian32: 0)
    return bytes
  }

  /// What comes before each frame.
  static func frame(length: Int, timestamp: Int64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian32: length)
    bytes.append(littleEndian32: Int(timestamp) & 0xFFFF_FFFF)
    bytes.append(littleEndian32: Int(timestamp >> 32))
    return bytes
  }
}
