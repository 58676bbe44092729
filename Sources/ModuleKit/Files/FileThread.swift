internal import Dispatch
internal import Glibc
internal import Handoff
internal import Runtime

/// A file that is written while streams go on; lives on the file thread.
package protocol FileWork: AnyObject {
  /// Writes what is there.
  ///
  /// - Parameter isFlush: whether the file has to be complete as far as it goes.
  /// - Returns: whether it was the last time.
  func advance(isFlush: Bool) -> Bool
}

/// The one thread of the process that writes recordings: only it waits for disks.
///
/// It looks at all files ten times a second while something is recorded, and sleeps otherwise.
package final class FileThread: Sendable {
  package static let shared = FileThread()

  private enum Message: ~Copyable, Sendable {
    case begin(Disconnected<any FileWork>)
    case flush(DispatchSemaphore)
  }

  private let bell = DispatchSemaphore(value: 0)
  private let mailbox: Mailbox<Message>

  private init() {
    let bell = self.bell
    self.mailbox = Mailbox(capacity: 1024) { bell.signal() }
    precondition(DetachedThread.start(name: "files") { FileThread.shared.run() }, "no more threads")
    atexit { FileThread.shared.flush(timeout: 2) }
  }

  /// Takes a file on; false when too many wait already.
  package func begin(_ work: sending any FileWork) -> Bool { self.mailbox.post(.begin(Disconnected(work))) }

  /// Has it look at once.
  package func wake() { self.bell.signal() }

  /// Waits until everything recorded so far is in its files; not to be called on a transport's executor.
  ///
  /// - Parameter timeout: in seconds.
  /// - Returns: false when the disk took longer.
  @discardableResult
  package func flush(timeout: Int = 5) -> Bool {
    let isDone = DispatchSemaphore(value: 0)
    return self.mailbox.post(.flush(isDone)) && isDone.wait(timeout: .now() + .seconds(timeout)) == .success
  }

  private func run() {
    var files: [any FileWork] = []
    var waiters: [DispatchSemaphore] = []
    while true {
      if files.isEmpty {
        self.bell.wait()
      } else {
        _ = self.bell.wait(timeout: .now() + .milliseconds(100))
      }
      while let message = self.mailbox.take() {
        switch consume message {
        case .begin(let work): files.append(work.take())
        case .flush(let waiter): waiters.append(waiter)
        }
      }
      files.removeAll { $0.advance(isFlush: !waiters.isEmpty) }
      for waiter in waiters { waiter.signal() }
      waiters.removeAll()
    }
  }
}
