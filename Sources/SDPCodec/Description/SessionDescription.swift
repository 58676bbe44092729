/// A session description (RFC 8866).
///
/// Printing it hides keys (`description` is for logs); `text` and `bytes` are for the wire.
package struct SessionDescription: Hashable, Sendable, AttributeSection, CustomStringConvertible {
  package var origin: SDPOrigin
  /// `-` when there is none.
  package var sessionName: String
  /// The `i=` line.
  package var information: String?
  /// The `u=` line.
  package var uri: String?
  /// The `e=` lines.
  package var emails: [String]
  /// The `p=` lines.
  package var phones: [String]
  /// Holds for every media section without an address of its own.
  package var connection: SDPConnection?
  package var bandwidths: [SDPBandwidth]
  /// At least one; `t=0 0` when the text had none.
  package var timings: [SDPTiming]
  /// The `z=` line.
  package var timeZones: String?
  /// Session-level attributes.
  package var attributes: [SDPAttribute]
  package var media: [MediaDescription]

  package init(
    origin: SDPOrigin, sessionName: String = "-", information: String? = nil, uri: String? = nil,
    emails: [String] = [], phones: [String] = [], connection: SDPConnection? = nil, bandwidths: [SDPBandwidth] = [],
    timings: [SDPTiming] = [SDPTiming()], timeZones: String? = nil, attributes: [SDPAttribute] = [],
    media: [MediaDescription] = []
  ) {
    self.origin = origin
    self.sessionName = sessionName
    self.information = information
    self.uri = uri
    self.emails = emails
    self.phones = phones
    self.connection = connection
    self.bandwidths = bandwidths
    self.timings = timings
    self.timeZones = timeZones
    self.attributes = attributes
    self.media = media
  }

  /// The text for the wire, lines in RFC 8866's order, each ended by CRLF. Carries keys in the clear.
  package var text: String {
    var writer = SDPWriter()
    writer.write(self)
    return writer.text
  }

  /// `text` as bytes.
  package var bytes: [UInt8] { Array(self.text.utf8) }

  /// The text for logs: keys and passwords are replaced.
  package var redacted: String { SDPRedaction.redacted(self.text) }

  package var description: String { self.redacted }
}
