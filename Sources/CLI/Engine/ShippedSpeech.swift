internal import Glibc

/// Where the shipped speech is: below the program's folder or one above it, or in the checkout that it was built from.
enum ShippedSpeech {
  static func path() throws -> String {
    var places: [String] = []
    if let folder = unsafe getenv("APUS_DATA") { places.append(unsafe String(cString: folder)) }
    var room = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink("/proc/self/exe", &room, room.count - 1)
    if count > 0 {
      let program = String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      var folder = program[...]
      while let slash = folder.lastIndex(of: "/") {
        folder = folder[..<slash]
        places.append("\(folder)/Config/media")
      }
    }
    let source = #filePath
    if let end = source.range(of: "/Sources/")?.lowerBound { places.append("\(source[..<end])/Config/media") }
    for place in places where unsafe access("\(place)/speech_48000.wav", R_OK) == 0 {
      return "\(place)/speech_48000.wav"
    }
    throw Failure(.noInput, "the shipped speech Config/media/speech_48000.wav is missing: set APUS_DATA to its folder")
  }
}

extension String {
  fileprivate func range(of other: String) -> Range<String.Index>? {
    self.ranges(of: other).first
  }
}
