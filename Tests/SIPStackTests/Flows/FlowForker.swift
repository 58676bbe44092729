internal import NetBase
internal import SIPStack

/// A forking proxy as small as it can be (RFC 3261 §16): an INVITE goes to several agents; provisional responses and every
/// 2xx go back; of the refusals the best, when all have refused. Its links to the agents behind it lose nothing.
final class FlowForker {
  private final class Transaction {
    let request: SIPMessage
    let source: SocketAddress
    let branches: [String]
    let targets: [SocketAddress]
    var finals: [Int: Int] = [:]
    var best: SIPMessage?
    var isDone = false

    init(_ request: SIPMessage, _ source: SocketAddress, _ branches: [String], _ targets: [SocketAddress]) {
      (self.request, self.source, self.branches, self.targets) = (request, source, branches, targets)
    }
  }

  static let address = SocketAddress(ipv4: 0xC000_0264, port: 5060)
  let address = FlowForker.address
  unowned let network: FlowNetwork
  let targets: [SocketAddress]
  private var transactions: [String: Transaction] = [:]
  private var count = 0

  init(_ network: FlowNetwork, targets: [SocketAddress]) { (self.network, self.targets) = (network, targets) }

  func receive(_ bytes: [UInt8], from source: SocketAddress) {
    guard let message = bytes.withRawSpan({ span in try? SIPMessage(datagram: span) }),
      let via = message.headers["Via"].flatMap({ try? Via($0) })
    else { return }
    if self.pass(message, via, from: source) { return }
    switch message.startLine {
    case .request(.invite, _): self.invite(message, via, source)
    case .request(.cancel, _): self.cancel(message, via, source)
    case .request(.ack, _): self.transactions[via.branch]?.isDone = true
    case .request: break
    case .response(let status, _): if !self.pass(response: message, via) { self.response(message, status, via) }
    }
  }

  private func invite(_ message: SIPMessage, _ via: Via, _ source: SocketAddress) {
    if let known = self.transactions[via.branch] {
      if known.finals.isEmpty { self.trying(message, source) }
      return
    }
    self.count += 1
    let branches = self.targets.indices.map { "z9hG4bKfork\(self.count)x\($0)" }
    let transaction = Transaction(message, source, branches, self.targets)
    self.transactions[via.branch] = transaction
    self.trying(message, source)
    for index in branches.indices { self.forward(message, transaction, index) }
  }

  private func trying(_ message: SIPMessage, _ source: SocketAddress) {
    self.back(Self.response(to: message, 100), source)
  }

  private func forward(_ message: SIPMessage, _ transaction: Transaction, _ index: Int) {
    var copy = message
    copy.headers.prepend(
      "Via", Via(transport: .udp, sentBy: self.address, branch: transaction.branches[index]).description)
    if self.network.isRecorded {
      for route in Self.recordedRoute.reversed() { copy.headers.prepend("Record-Route", route) }
    }
    self.network.send(copy.serialized(), to: transaction.targets[index], from: self.address, isSafe: true)
  }

  private func cancel(_ message: SIPMessage, _ via: Via, _ source: SocketAddress) {
    self.back(Self.response(to: message, 200), source)
    guard let transaction = self.transactions[via.branch] else { return }
    for index in transaction.branches.indices where transaction.finals[index] == nil {
      self.forward(message, transaction, index)
    }
  }

  /// One branch has answered: the others need not ring any more (RFC 3261 §16.7).
  private func cancelOthers(_ transaction: Transaction) {
    guard case .request(_, let uri) = transaction.request.startLine else { return }
    var cancel = SIPMessage(.request(.cancel, uri))
    for name in ["From", "To", "Call-ID"] { cancel.headers.append(name, transaction.request.headers[name] ?? "") }
    let sequence = transaction.request.headers["CSeq"] ?? ""
    cancel.headers.append("CSeq", sequence.replacing("INVITE", with: "CANCEL"))
    for index in transaction.branches.indices where transaction.finals[index] == nil {
      self.forward(cancel, transaction, index)
    }
  }

  private func response(_ message: SIPMessage, _ status: Int, _ via: Via) {
    guard message.headers["CSeq"]?.hasSuffix("INVITE") == true, status > 100 else { return }
    for transaction in self.transactions.values {
      guard let index = transaction.branches.firstIndex(of: via.branch) else { continue }
      var up = message
      let rest = message.headers.all("Via").dropFirst()
      up.headers.remove("Via")
      for value in rest.reversed() { up.headers.prepend("Via", value) }
      if status < 300 {
        self.back(up, transaction.source)
        guard status >= 200, transaction.finals[index] == nil else { return }
        transaction.finals[index] = status
        return self.cancelOthers(transaction)
      }
      self.acknowledge(message, transaction, index)
      guard transaction.finals[index] == nil else { return }
      transaction.finals[index] = status
      transaction.best = up
      guard transaction.finals.count == transaction.branches.count,
        !transaction.finals.values.contains(where: { $0 < 300 })
      else { return }
      return self.refuse(transaction, tries: 0)
    }
  }

  private func acknowledge(_ response: SIPMessage, _ transaction: Transaction, _ index: Int) {
    guard case .request(_, let uri) = transaction.request.startLine else { return }
    var ack = SIPMessage(.request(.ack, uri))
    ack.headers.append(
      "Via", Via(transport: .udp, sentBy: self.address, branch: transaction.branches[index]).description)
    for name in ["From", "Call-ID"] { ack.headers.append(name, transaction.request.headers[name] ?? "") }
    ack.headers.append("To", response.headers["To"] ?? "")
    ack.headers.append("CSeq", "1 ACK")
    ack.headers.set("CSeq", (response.headers["CSeq"] ?? "").replacing("INVITE", with: "ACK"))
    self.network.send(ack.serialized(), to: transaction.targets[index], from: self.address, isSafe: true)
  }

  private func refuse(_ transaction: Transaction, tries: Int) {
    guard !transaction.isDone, tries < 64, let best = transaction.best else { return }
    self.back(best, transaction.source)
    self.network.after(500) { [unowned self] in self.refuse(transaction, tries: tries + 1) }
  }

  private func back(_ message: SIPMessage, _ source: SocketAddress) {
    self.network.send(message.serialized(), to: source, from: self.address)
  }

  private static func response(to request: SIPMessage, _ status: Int) -> SIPMessage {
    var answer = SIPMessage(.response(status: status, reason: "Fork"))
    for value in request.headers.all("Via") { answer.headers.append("Via", value) }
    for name in ["From", "To", "Call-ID", "CSeq"] { answer.headers.append(name, request.headers[name] ?? "") }
    return answer
  }
}
