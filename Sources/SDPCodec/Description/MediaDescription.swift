/// What kind of media a section describes (RFC 8866 §5.14).
package enum MediaKind: Hashable, Sendable, CustomStringConvertible {
  case audio, video, application, text, message, image
  /// A kind that this list does not know.
  case other(String)

  package init(_ name: String) {
    self =
      switch name {
      case "audio": .audio
      case "video": .video
      case "application": .application
      case "text": .text
      case "message": .message
      case "image": .image
      default: .other(name)
      }
  }

  package var description: String {
    switch self {
    case .audio: "audio"
    case .video: "video"
    case .application: "application"
    case .text: "text"
    case .message: "message"
    case .image: "image"
    case .other(let name): name
    }
  }
}

/// One media section: an `m=` line and what belongs to it (RFC 8866 §5.14).
package struct MediaDescription: Hashable, Sendable, AttributeSection, CustomStringConvertible {
  package var kind: MediaKind
  /// 0 rejects or removes the media (RFC 3264 §6, §8.2).
  package var port: UInt16
  /// The number behind the port, as in `49170/2`.
  package var portCount: UInt16?
  /// The transport token, such as `RTP/AVP`; the RFC's `proto`.
  package var protocolName: String
  /// Payload types for RTP, else whatever the protocol says.
  package var formats: [String]
  /// The `i=` line.
  package var information: String?
  /// The section's own address; the session's holds without it. Of several lines (multicast layers) the first is kept.
  package var connection: SDPConnection?
  package var bandwidths: [SDPBandwidth]
  package var attributes: [SDPAttribute]

  package init(
    kind: MediaKind, port: UInt16, portCount: UInt16? = nil, protocolName: String, formats: [String],
    information: String? = nil, connection: SDPConnection? = nil, bandwidths: [SDPBandwidth] = [],
    attributes: [SDPAttribute] = []
  ) {
    self.kind = kind
    self.port = port
    self.portCount = portCount
    self.protocolName = protocolName
    self.formats = formats
    self.information = information
    self.connection = connection
    self.bandwidths = bandwidths
    self.attributes = attributes
  }

  /// Reads the value of an `m=` line.
  init?(_ text: String) {
    let words = text.fields()
    guard words.count >= 3 else { return nil }
    let (portText, countText) = words[1].cut(at: "/")
    guard let port = portText.decimal(UInt16.self) else { return nil }
    var count: UInt16?
    if let countText {
      guard let number = countText.decimal(UInt16.self), number > 0 else { return nil }
      count = number
    }
    self.init(
      kind: MediaKind(words[0]), port: port, portCount: count, protocolName: words[2],
      formats: Array(words.dropFirst(3)))
  }

  /// The section's text with keys hidden.
  package var description: String {
    var writer = SDPWriter()
    writer.write(self)
    return SDPRedaction.redacted(writer.text)
  }
}
