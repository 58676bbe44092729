/// Carries the descriptions of a call that SIP does not; lives on main.
package protocol CallCarrier: AnyObject {
  /// Brings our offer to the peer.
  ///
  /// - Parameter answered: called on main, once and later: the peer's answer, or why there is none.
  func carry(_ offer: [UInt8], answered: @escaping (Result<[UInt8], ModuleError>) -> Void)
  /// The call is over: a peer that knows of it is told. Nothing is carried after this.
  ///
  /// - Parameter told: called on main, once, when the peer has heard of it, or can't.
  func end(told: @escaping () -> Void)
}
