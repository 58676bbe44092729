package import ModuleKit

/// Names a call of one agent; counts from 1, never used twice.
package struct CallID: Hashable, Sendable, CustomStringConvertible {
  package let number: UInt64
  package init(number: UInt64) { self.number = number }
  package var description: String { "\(self.number)" }
}

/// Where a call is.
package enum CallState: String, Sendable {
  case calling
  case incoming
  case ringing
  case early
  case established
  case ended
}

/// What is known of a call, at one moment or when it is over.
package struct CallReport: Sendable {
  package var id: CallID
  package var isOutgoing: Bool
  package var peer: String
  /// The peer's display name, of a call that came in.
  package var peerName: String?
  /// The URI that a call that came in was for; else empty.
  package var target = ""
  package var state: CallState
  /// Why it ended: a word for machines (`hangup`, `rejected`, `timeout`, `unreachable`, `media`).
  package var reason: String
  /// Why it ended: a sentence for people; nil for a normal end.
  package var failure: ModuleError?
  /// SIP's status of a refusal.
  package var status: Int?
  /// Milliseconds from INVITE to its 200.
  package var setup: Double?
  /// Milliseconds from INVITE to the first media packet under keys, sent or heard; nil without encryption.
  package var secure: Double?
  /// Milliseconds from INVITE to the first media packet heard.
  package var firstMedia: Double?
  /// Seconds from answer to end.
  package var duration: Double
  package var mediaEncryption: String
  package var profile: String?
  package var dtlsVersion: String?
  /// `name/rate/channels`.
  package var codec: String?
  package var rxMode: RxMode
  package var isOnHold: Bool
  package var isHeldByPeer: Bool
  /// The digits that were heard last, 256 at most.
  package var digits: String
  /// How many were heard in all.
  package var digitCount = 0
  package var media: TransportStatistics
  /// Nil for a call without video.
  package var video: VideoStatistics?
  /// Of the video's own transport; nil where the audio's carries it.
  package var videoTransport: TransportStatistics?
  package var unusedCandidates = UnusedCandidates()

  /// Datagrams that were dropped, whatever the reason, on all transports.
  package var dropped: Int { self.media.drops.total + (self.videoTransport?.drops.total ?? 0) }
}

/// What happens to an agent and its calls.
package enum AgentEvent: Sendable {
  /// `answersItself` where nobody is asked.
  case incoming(CallID, from: String, answersItself: Bool)
  /// A call of ours was sent.
  case outgoing(CallID, to: String)
  case ringing(CallID)
  case progress(CallID, status: Int)
  case established(CallID)
  case secured(CallID, profile: String)
  case mediaEstablished(CallID)
  case digit(CallID, Character?)
  /// Whether the peer holds us.
  case held(CallID, Bool)
  /// What was found since our last description, and the program carries to the peer: values as a browser's `candidate` has them.
  case lateCandidates(CallID, [String], mediaID: String?)
  /// The peer's REFER made or will make a call.
  case transfer(CallID, to: String)
  case transferFailed(CallID, String)
  case sourceEnded(CallID)
  /// Something of a call went wrong and the call goes on.
  case warning(CallID, String)
  case ended(CallReport)
  /// An account's registration changed; `account` is its address of record.
  case registration(account: String, LocalAccount.Registration)
  case messageWaiting(account: String, String)
  case message(account: String, from: String, contentType: String, text: String)
  /// What a contact's presence, or a lamp for its calls, shows now, and what it showed before.
  case contact(uri: String, WatchedPackage, from: String, to: String)
  /// Text for whoever gave a command, or looks on.
  case output(String)
  /// The current call's figures, to be shown in place of the last ones; empty when there is nothing to show.
  case status(String)
  /// How much is to be shown from now on.
  case logLevel(LogLevel)
  /// Someone asked for the end of the program.
  case quit
}
