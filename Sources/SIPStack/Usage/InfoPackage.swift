/// A kind of INFO that is taken in a call (RFC 6086), as Recv-Info says.
package struct InfoPackage: Hashable, Sendable {
  /// As in Recv-Info and Info-Package.
  package let name: String
  /// What its bodies are.
  package let contentType: String
  /// What Supported has because of it.
  let optionTag: String

  /// Candidates of ICE that were found after the description (RFC 8840 §10).
  package static let trickleICE = InfoPackage(
    name: "trickle-ice", contentType: "application/trickle-ice-sdpfrag", optionTag: "trickle-ice")
}
