/// `a=setup` (RFC 4145 §4, RFC 5763 §5): who sends the ClientHello.
enum SetupRole: String, Sendable {
  case active, passive, actpass, holdconn
}
