internal import ModuleKit

/// What is behind `mixausrc_enc_start`: which source, and how loud.
struct MixOrder: Equatable {
  var source: AudioDevice
  /// 0 to 1; what the stream is faded out to, and what the source is played at.
  var streamVolume: Float = 0
  var sourceVolume: Float = 1

  init?(_ text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count == 2 || words.count == 4 else { return nil }
    self.source = AudioDevice(driver: words[0], device: words[1])
    guard words.count == 4 else { return }
    guard let stream = Int(words[2]), let source = Int(words[3]), (0...100).contains(stream), (0...100).contains(source)
    else { return nil }
    (self.streamVolume, self.sourceVolume) = (Float(stream) / 100, Float(source) / 100)
  }
}
