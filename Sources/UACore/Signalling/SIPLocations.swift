internal import Dispatch
package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// Finds where requests go (RFC 3263): asks the name resolver what a locator wants to know. Lives on main.
package final class SIPLocations {
  private let resolver: any NameResolver
  private let main: EventLoop
  /// Who waits for which answer: the same question is asked once at a time.
  private var waiting: [DNSQuestion: [(DNSAnswer) -> Void]] = [:]
  private var isClosed = false
  private(set) lazy var reference = LoopBound(WeakLocations(locations: self), on: self.main)

  package init(resolver: any NameResolver, on main: EventLoop) {
    self.resolver = resolver
    self.main = main
  }

  /// - Parameter completion: called once, on main: at once when nobody has to be asked.
  package func locate(
    _ locator: SIPLocator, completion: @escaping (Result<[SIPTarget], SIPLocator.Failure>) -> Void
  ) {
    let search = Search(locator, completion)
    self.follow(search.locator.start(), search)
  }

  private final class Search {
    var locator: SIPLocator
    let completion: (Result<[SIPTarget], SIPLocator.Failure>) -> Void

    init(_ locator: SIPLocator, _ completion: @escaping (Result<[SIPTarget], SIPLocator.Failure>) -> Void) {
      (self.locator, self.completion) = (locator, completion)
    }
  }

  /// Tells whoever waits, and whoever asks from now on, that there is no answer: main is about to stop.
  package func close() {
    self.isClosed = true
    let waiting = self.waiting
    self.waiting = [:]
    for answered in waiting.values.joined() { answered(Self.noAnswer) }
  }

  private static let noAnswer = DNSAnswer.failed("the agent has ended")

  /// Addresses of a host, one of each family that it has, IPv4 first; none where it has no name that is known.
  ///
  /// - Parameter completion: called once, on main: at once for an address.
  package func addresses(of host: String, port: UInt16, completion: @escaping ([SocketAddress]) -> Void) {
    self.allAddresses(of: host, port: port) { addresses in
      completion([.ipv4, .ipv6].compactMap { family in addresses.first { $0.family == family } })
    }
  }

  /// All that a host has, IPv4 first.
  ///
  /// - Parameter completion: called once, on main: at once for an address.
  package func allAddresses(of host: String, port: UInt16, completion: @escaping ([SocketAddress]) -> Void) {
    if let address = SocketAddress(host: host, port: port) { return completion([address]) }
    var found: [DNSQuestion: [SocketAddress]] = [:]
    let questions = [DNSQuestion.a(host), .aaaa(host)]
    for question in questions {
      self.ask(question) { answer in
        if case .addresses(let addresses) = answer { found[question] = addresses } else { found[question] = [] }
        guard found.count == questions.count else { return }
        completion(questions.flatMap { found[$0] ?? [] }.map { $0.with(port: port) })
      }
    }
  }

  private func follow(_ step: SIPLocator.Step, _ search: Search) {
    switch step {
    case .located(let targets): search.completion(.success(targets))
    case .failed(let failure): search.completion(.failure(failure))
    case .ask(let questions):
      for question in questions {
        self.ask(question) { [unowned self] answer in
          self.follow(search.locator.receive(answer, to: question), search)
        }
      }
    }
  }

  private func ask(_ question: DNSQuestion, _ answered: @escaping (DNSAnswer) -> Void) {
    guard !self.isClosed else { return answered(Self.noAnswer) }
    if self.waiting[question] != nil {
      self.waiting[question]?.append(answered)
      return
    }
    self.waiting[question] = [answered]
    let (main, reference) = (self.main, self.reference)
    self.resolver.resolve(question) { answer in
      main.execute { _ in reference.withValue { $0.locations?.take(answer, to: question) } }
    }
  }

  private func take(_ answer: DNSAnswer, to question: DNSQuestion) {
    for answered in self.waiting.removeValue(forKey: question) ?? [] { answered(answer) }
  }
}

/// A reference that does not keep the locations alive.
struct WeakLocations {
  weak var locations: SIPLocations?
}

/// Addresses by the system's resolver, on a thread that may block; it knows neither SRV nor NAPTR.
package struct SystemNameResolver: NameResolver {
  package init() {}

  package func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
    let family: SocketAddress.Family
    switch question {
    case .naptr, .srv: return completion(.nothing)
    case .a: family = .ipv4
    case .aaaa: family = .ipv6
    }
    DispatchQueue.global().async {
      let addresses = lookUp(host: question.name, family: family)
      completion(addresses.isEmpty ? .nothing : .addresses(addresses))
    }
  }
}
