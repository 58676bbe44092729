internal import NIOCore
internal import NetBase
internal import Synchronization

/// A connection as its NIO thread has it: what was heard when, and why it ends. Only that thread touches it.
final class StreamState {
  let link: StreamLink
  let channel: any Channel
  /// Sends the sign of life, or the request for one, that this kind of connection has.
  var sendPing: () -> Void = {}
  /// Whether the kernel has connected us.
  var hasConnected = false
  private(set) var isReady = false
  private var isPaused = false
  private var batch: [[UInt8]] = []
  private var reason: String?
  private let began = NIODeadline.now()
  private var lastHeard: NIODeadline
  private var lastSent: NIODeadline
  private var hasHeardMessage = false
  /// Since when a message has begun that has not ended.
  private var partialSince: NIODeadline?
  private var pinged: NIODeadline?
  /// Whether a ping of ours has no pong yet: others say nothing, and would cost main its time.
  private var awaitsPong = false
  private var givesPongs = false

  init(link: StreamLink, channel: any Channel) {
    (self.link, self.channel) = (link, channel)
    (self.lastHeard, self.lastSent) = (self.began, self.began)
    channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
      // Who could not connect hears why from the attempt.
      guard self.hasConnected || self.reason != nil || self.link.isAccepted else { return }
      self.link.post(.closed(reason: self.reason ?? "the peer closed the connection"))
    }
    self.scheduleCheck()
  }

  private var limits: StreamLimits { self.link.limits }

  /// Messages can travel from now on.
  func becomeReady() {
    guard !self.isReady, self.channel.isActive,
      let peer = self.channel.remoteAddress.flatMap(NetBase.SocketAddress.init),
      let local = self.channel.localAddress.flatMap(NetBase.SocketAddress.init)
    else { return }
    self.isReady = true
    self.lastHeard = .now()
    self.lastSent = .now()
    self.link.post(.opened(self.channel, peer: peer, local: local))
  }

  // MARK: What came

  func heard(message: [UInt8]) {
    guard self.reason == nil else { return }
    self.lastHeard = .now()
    self.hasHeardMessage = true
    self.pinged = nil
    self.batch.append(message)
  }

  /// - Returns: whether it is to be answered. Who asks and does not read loses its connection.
  func heardPing() -> Bool {
    guard self.reason == nil else { return false }
    self.lastHeard = .now()
    self.link.tally.pings.add(1, ordering: .relaxed)
    guard self.channel.isWritable else {
      self.link.tally.overflows.add(1, ordering: .relaxed)
      self.fail("the peer does not read what was sent")
      return false
    }
    return true
  }

  func heardPong() {
    self.lastHeard = .now()
    self.link.tally.pongs.add(1, ordering: .relaxed)
    guard self.awaitsPong else { return }
    self.awaitsPong = false
    self.givesPongs = true
    self.pinged = nil
    self.link.post(.pong)
  }

  /// What has been read so far goes to main.
  func endRead(isInsideMessage: Bool) {
    self.partialSince = isInsideMessage ? self.partialSince ?? .now() : nil
    guard !self.batch.isEmpty else { return }
    let messages = self.batch
    self.batch = []
    guard self.link.hand(messages), !self.isPaused else { return }
    self.isPaused = true
    self.link.tally.pauses.add(1, ordering: .relaxed)
    _ = self.channel.setOption(.autoRead, value: false)
    self.resumeIfPossible()
  }

  /// Reads again when main has caught up.
  func resumeIfPossible() {
    guard self.isPaused, !self.link.isBehind else { return }
    self.isPaused = false
    _ = self.channel.setOption(.autoRead, value: true)
  }

  func hasSent() { self.lastSent = .now() }

  /// Asks the peer for a sign of life.
  func ping() {
    guard self.isReady else { return }
    self.pinged = self.pinged ?? .now()
    self.awaitsPong = true
    self.sendPing()
  }

  // MARK: The end

  /// Ends the connection; the first reason is the one that main hears, after what came before it.
  func fail(_ reason: String) {
    if self.reason == nil { self.reason = reason }
    self.endRead(isInsideMessage: false)
    self.channel.close(promise: nil)
  }

  private func expire(_ reason: String) {
    self.link.tally.expired.add(1, ordering: .relaxed)
    self.fail(reason)
  }

  private func scheduleCheck() {
    self.channel.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(self.limits.interval)) { [weak self] in
      self?.check()
    }
  }

  private func check() {
    guard self.channel.isActive || !self.isReady, self.reason == nil else { return }
    let now = NIODeadline.now()
    func isOver(_ since: NIODeadline, _ limit: Duration) -> Bool { now - since > TimeAmount(limit) }
    if !self.isReady {
      if isOver(self.began, self.limits.setup) { return self.expire("it was not ready for messages in time") }
    } else if let partialSince, isOver(partialSince, self.limits.message) {
      return self.expire("a message did not end in time")
    } else if self.link.isAccepted {
      if !self.hasHeardMessage, isOver(self.began, max(self.limits.message, self.limits.setup)) {
        return self.expire("no message came in time")
      }
      if isOver(max(self.lastHeard, self.lastSent), self.limits.idle) { return self.expire("it was idle for too long") }
    } else if let pinged, self.givesPongs {
      if isOver(pinged, self.limits.pong) { return self.expire("the peer gives no sign of life") }
    } else if self.limits.keepalive > .zero, isOver(max(self.lastHeard, self.lastSent), self.limits.keepalive) {
      self.ping()
    }
    self.scheduleCheck()
  }
}
