package import Handoff
package import ModuleKit
internal import NetBase
package import Runtime

/// An application that serves HTTP, on a loop of its own, with an agent that answers every offer.
package final class ServedApplication {
  /// The application holds its host unowned.
  private struct Box {
    let application: any Application
    let host: AnsweringHost
  }

  /// What the agent was asked, in order.
  package let log = Locked<[String]>([])
  /// Where the application listens.
  package let port: UInt16
  private let loop = EventLoop.start(name: "http")
  private let box: LoopBound<Box>

  /// - Parameter make: makes the application, and tells its port.
  package init(
    _ make: @escaping @Sendable (LoopContext, any ApplicationHost) throws(ModuleError) -> (any Application, UInt16)
  ) throws {
    let (log, loop, box) = (self.log, self.loop, LoopBound<Box>(on: self.loop))
    self.box = box
    let result = loop.sync { context -> Result<UInt16, ModuleError> in
      let host = AnsweringHost(loop, log)
      do throws(ModuleError) {
        let (application, port) = try make(context, host)
        box.put(Box(application: application, host: host))
        return .success(port)
      } catch { return .failure(error) }
    }
    guard let result else { throw ModuleError(.unavailable, "the loop has stopped") }
    self.port = try result.get()
  }

  package func client() throws -> RawPeer { try RawPeer(to: SocketAddress(ipv4: 0x7F00_0001, port: self.port)) }

  /// Sends one request, and returns the whole response.
  package func request(
    _ line: String, host: String? = nil, headers: [String] = [], type: String? = nil, body: String = ""
  ) throws -> String {
    let client = try self.client()
    var lines = ["\(line) HTTP/1.1", "Host: \(host ?? "127.0.0.1:\(self.port)")", "Connection: close"] + headers
    if let type { lines.append("Content-Type: \(type)") }
    lines.append("Content-Length: \(body.utf8.count)")
    client.send(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
    return client.text()
  }

  /// A call has ended at its far end.
  package func end(_ call: UInt64) {
    let box = self.box
    _ = self.loop.sync { _ in
      box.withValue { held in
        held.host.hangUp(call)
        held.application.take(AgentNotice(.callClosed))
      }
      return true
    }
  }

  package func stop() {
    let box = self.box
    _ = self.loop.sync { _ in
      guard let held = box.take() else { return true }
      held.application.stop()
      return withExtendedLifetime(held.host) { true }
    }
    self.loop.stop()
  }
}

extension RawPeer {
  /// What comes until the server closes, or until some text has come.
  package func text(until end: String? = nil) -> String {
    var all: [UInt8] = []
    while let more = self.receive(), !more.isEmpty {
      all += more
      if let end, String(decoding: all, as: UTF8.self).contains(end) { break }
    }
    return String(decoding: all, as: UTF8.self)
  }
}

/// A header of a response; nil where there is none.
package func header(_ name: String, of response: String) -> String? {
  response.split(separator: "\r\n").first { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) }
}

/// What stands behind a response's headers.
package func body(of response: String) -> String {
  var lines = response.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
  return lines.count > 1 ? String(lines.removeLast()) : ""
}
