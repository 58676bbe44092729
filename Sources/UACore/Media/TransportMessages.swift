package import ModuleKit
package import NetBase
package import RTPStack
package import SRTPEngine

/// What main tells a transport; lossless and in order.
package enum TransportCommand: ~Copyable, Sendable {
  case keying(KeyingCommand)
  case connectivity(ConnectivityCommand)
  case configure(MediaAgreement)
  /// Sockets for the next association: what comes of it replaces what is in force once it is secured.
  case openPath(MediaPorts)
  /// Sockets that take the place of those in force at once: the address of the old ones is gone.
  case movePath(MediaPorts)
  /// The next association will not be.
  case closePath
  case sendDigits(String)
  /// The plan's stages of this direction take the place of those that run.
  case replaceStages(StagePlan, MediaDirection)
  case mute(Bool)
  /// Answered with `statistics`.
  case reportStatistics
  /// The last command: good-byes are sent, files completed, sockets closed, and `closed` comes back.
  case stop
}

/// What a transport tells main.
package enum TransportEvent: ~Copyable, Sendable {
  /// Keys are in force both ways.
  case secured(SecurityReport)
  /// What a description may name is known.
  case gathered(GatheringReport)
  /// Connectivity checks have chosen where media goes.
  case connected(ConnectivityReport)
  /// Our first media packet has left.
  case sending
  /// The peer's first media packet was accepted.
  case established
  /// A telephone event began; nil: it ended.
  case digit(Character?)
  /// Digits of ours that will not be sent: too many wait, or there is no agreement yet.
  case digitsRefused(String)
  /// The peer told what it sends and hears (RTCP SR or RR); at most twice a second.
  case peerReported
  /// The peer's source is gone (RTCP BYE); the peer may not be.
  case goodbye
  /// The peer has closed the association (DTLS close_notify).
  case peerLeft
  /// Nothing was received for `rtp_timeout`.
  case timedOut
  /// The source has no more (the file was played).
  case sourceEnded
  /// The audio's source, player, filters or codec could not be made; the reason is a sentence.
  case audioFailed(ModuleError)
  /// The transport can't go on; the reason is a sentence.
  case failed(ModuleError)
  case statistics(TransportStatistics)
  /// Contexts whose keys are no longer in use, to be freed where it costs no packet its time.
  case retired(RetiredSRTP)
  /// The newest keys are in use both ways: those that main has begun to bring as the so-many-th.
  case rekeyed(Int)
  /// The next association failed; the old keys stay in force.
  case rekeyFailed(ModuleError)
  /// So much was sent under the key in use that there should be another one.
  case keyWornOut
  /// Nothing of the transport runs any more.
  case closed(TransportStatistics)
}

/// How a stream was secured.
package struct SecurityReport: Sendable {
  package let profile: SRTPProfile
  /// For example `DTLSv1.2`; nil for SDES.
  package let dtlsVersion: String?
}

/// A codec with the payload type that was negotiated for it.
package struct NegotiatedCodec: Sendable {
  package let payloadType: UInt8
  package let codec: any AudioCodec
  package let parameters: CodecParameters

  package init(payloadType: UInt8, codec: any AudioCodec, parameters: CodecParameters) {
    self.payloadType = payloadType
    self.codec = codec
    self.parameters = parameters
  }

  func isSame(as other: NegotiatedCodec?) -> Bool {
    guard let other else { return false }
    return self.payloadType == other.payloadType && self.parameters == other.parameters
      && self.codec.encodingName == other.codec.encodingName && self.codec.clockRate == other.codec.clockRate
  }
}

/// Payload types, 0 to 127, as a plain value: a packet asks for its own without a reference being counted.
package struct PayloadTypeSet: Equatable, Sendable {
  private var bits: UInt128 = 0

  package init(_ types: [UInt8] = []) {
    for type in types { self.bits |= UInt128(1) << UInt128(type) }
  }

  package func contains(_ type: UInt8) -> Bool { self.bits >> UInt128(type) & 1 == 1 }
}

/// What was negotiated for a transport; each offer and answer brings a whole new value.
package struct MediaAgreement: Sendable {
  /// Where the peer receives; nil while nothing may be sent.
  package var remoteRTP: SocketAddress?
  package var remoteRTCP: SocketAddress?
  package var usesRTCPMux: Bool
  /// What the peer says that it sends under (RFC 5576).
  package var remoteSSRCs: [UInt32] = []
  /// Nil where the transport carries none.
  package var audio: StreamSettings?
  package var video: VideoSettings?

  package init(
    remoteRTP: SocketAddress?, remoteRTCP: SocketAddress?, usesRTCPMux: Bool, audio: StreamSettings? = nil,
    video: VideoSettings? = nil
  ) {
    (self.remoteRTP, self.remoteRTCP, self.usesRTCPMux) = (remoteRTP, remoteRTCP, usesRTCPMux)
    (self.audio, self.video) = (audio, video)
  }
}

/// What was negotiated for a stream of audio.
package struct StreamSettings: Sendable {
  package var canSend: Bool
  package var canReceive: Bool
  package var sendCodec: NegotiatedCodec?
  package var receiveCodecs: [NegotiatedCodec]
  package var eventSendType: UInt8?
  /// Of that type: by it the peer reads how long events last. Nil for the send codec's.
  package var eventClockRate: Int?
  package var eventReceiveTypes: PayloadTypeSet
  /// Of redundant audio data (RFC 2198), where the peer may send it.
  package var redundantType: UInt8?
  /// Identifiers of the header extension that tells the audio's level; nil without it.
  package var levelSendID: UInt8?
  package var levelReceiveID: UInt8?
  /// Identifier of the header extension with the numbers of the peer's packets, where it is told when they came.
  package var transportNumberID: UInt8?
  /// The line that packets name, where several share a transport.
  package var mediaID: SentMediaID?
  /// Whether empty packets open the way to us while nothing may be sent.
  package var opensPinhole = false
  /// Milliseconds.
  package var packetTime: Int
  /// The stages, made once; `replaceStages` brings others.
  package var plan: StagePlan

  package init(
    canSend: Bool, canReceive: Bool, sendCodec: NegotiatedCodec?, receiveCodecs: [NegotiatedCodec],
    eventSendType: UInt8?, eventReceiveTypes: PayloadTypeSet, redundantType: UInt8? = nil, levelSendID: UInt8? = nil,
    levelReceiveID: UInt8? = nil, transportNumberID: UInt8? = nil, mediaID: SentMediaID? = nil, packetTime: Int,
    plan: StagePlan
  ) {
    (self.canSend, self.canReceive) = (canSend, canReceive)
    (self.sendCodec, self.receiveCodecs) = (sendCodec, receiveCodecs)
    (self.eventSendType, self.eventReceiveTypes) = (eventSendType, eventReceiveTypes)
    (self.redundantType, self.levelSendID, self.levelReceiveID) = (redundantType, levelSendID, levelReceiveID)
    (self.transportNumberID, self.mediaID) = (transportNumberID, mediaID)
    (self.packetTime, self.plan) = (packetTime, plan)
  }
}

/// How the playout delay is chosen (`audio_jitter_buffer_type`, `_ms`, `_size`).
package struct JitterBufferSettings: Hashable, Sendable {
  package typealias Kind = JitterBufferType
  package var kind: Kind
  /// Milliseconds.
  package var delay: ClosedRange<Int>
  /// Packets.
  package var size: Int

  package init(kind: Kind = .fixed, delay: ClosedRange<Int> = 100...200, size: Int = 50) {
    (self.kind, self.delay, self.size) = (kind, delay, size)
  }
}

/// What holds for a transport's whole life.
package struct TransportSettings: Sendable {
  package var stream: StreamID
  package var jitterBuffer: JitterBufferSettings
  /// Milliseconds without a packet until `timedOut`; 0 for never.
  package var receiveTimeout: Int
  package var canonicalName: String
  package var ssrc: UInt32
  package var seed: UInt64
  /// Nanoseconds to add to the loop's clock for the time since 1970.
  package var wallClockOffset: Int64
  /// Percent of outgoing datagrams that are dropped before the socket, for tests of loss.
  package var loss: Double
  package var srtpTransform: SRTPTransform
  package var keyLimit: KeyLimit
  /// Where delays are counted; nil where nobody measures them.
  package var delays: TransportDelays?
  /// Whether what comes is decoded and played.
  package var decodes: Bool

  package init(
    stream: StreamID, jitterBuffer: JitterBufferSettings, receiveTimeout: Int, canonicalName: String, ssrc: UInt32,
    seed: UInt64, wallClockOffset: Int64, loss: Double, srtpTransform: SRTPTransform = .standard,
    keyLimit: KeyLimit = .standard, delays: TransportDelays? = nil, decodes: Bool = true
  ) {
    (self.delays, self.decodes) = (delays, decodes)
    (self.stream, self.jitterBuffer, self.receiveTimeout) = (stream, jitterBuffer, receiveTimeout)
    (self.canonicalName, self.ssrc, self.seed) = (canonicalName, ssrc, seed)
    (self.wallClockOffset, self.loss) = (wallClockOffset, loss)
    (self.srtpTransform, self.keyLimit) = (srtpTransform, keyLimit)
  }
}
