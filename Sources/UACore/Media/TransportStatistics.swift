internal import NetBase
package import RTPStack

/// What a transport dropped, by reason; a user can read every one of them.
package struct DropCounters: Equatable, Sendable {
  /// Authentication failed.
  package var auth = 0
  /// Heard before (SRTP replay).
  package var replay = 0
  /// In the clear where encryption is in force.
  package var plaintext = 0
  /// From an address that is not the peer's.
  package var source = 0
  /// Malformed, of an unknown kind, or of a payload type that was not negotiated.
  package var unknown = 0
  /// A lane between two owners was full.
  package var mailboxFull = 0
  /// No key came for it in time.
  package var noKey = 0
  /// Too many waited for keys, and its source had most places of all.
  package var crowded = 0
  /// Still waiting for its keys or its handshake when the call ended, or the change of keys came to nothing.
  package var ended = 0
  /// Connectivity checks without or with wrong credentials, answers to none of ours, and checks above the rate.
  package var checks = 0
  /// What a TURN server passed on from a peer that we asked no permission for, or that was refused.
  package var unpermitted = 0
  /// What it passed on on a channel that is bound to nobody.
  package var unbound = 0

  package init() {}

  package var total: Int {
    self.auth + self.replay + self.plaintext + self.source + self.unknown + self.mailboxFull + self.noKey
      + self.crowded + self.ended + self.checks + self.unpermitted + self.unbound
  }
}

extension DropCounters {
  /// Adds packets that waited for a key in vain.
  mutating func add(_ parked: ParkingCounters) {
    self.noKey += parked.expired + parked.tooLong
    self.crowded += parked.overflowed
  }
}

/// One transport's figures at one moment.
package struct TransportStatistics: Sendable {
  package var sentPackets = 0
  /// RTP payload bytes.
  package var sentBytes = 0
  package var receivedPackets = 0
  package var receivedBytes = 0
  /// By sequence numbers (RFC 3550 A.3).
  package var lost = 0
  package var late = 0
  package var duplicate = 0
  /// Packets of a new source, or far from the others, until the next one confirms them (RFC 3550 A.1).
  package var suspect = 0
  /// Interarrival jitter, milliseconds.
  package var jitter = 0.0
  /// Lost packets whose audio came with a later one (RFC 2198).
  package var recovered = 0
  /// Milliseconds that were made up for packets that did not come in time.
  package var concealed = 0
  /// Frames that were decoded and played.
  package var playedFrames = 0
  /// Samples that came out of decoders, all channels; what was made up for lost packets is not among them.
  package var decodedSamples = 0
  /// Milliseconds; nil before a report came back.
  package var roundTrip: Double?
  /// 1.0 to 4.5, estimated (ITU-T G.107).
  package var meanOpinionScore: Double?
  /// How loud the peer's last packet was, as it says; nil where it says nothing (RFC 6464).
  package var audioLevel: AudioLevel?
  /// Where the transport carries video.
  package var video: VideoStatistics?
  package var drops = DropCounters()
  /// Payloads that no decoder took; they are in `receivedPackets` and in `drops.unknown`.
  package var undecodable = 0
  /// Frames that the encoder refused, so that nothing left in their place.
  package var unencodable = 0
  /// Datagrams that the kernel did not take.
  package var sendFailures = 0
  /// Frames that a marshalled or stalled source did not have ready in time.
  package var sourceUnderruns = 0
  /// Changes of keys that this end has seen at work: it has authenticated a packet under the peer's new key, and sent one
  /// under its own. No more than the lesser of both ends' counts were authenticated in both directions.
  package var rekeys = 0
  /// RTCP packets sent and received.
  package var sentReports = 0
  package var receivedReports = 0
  /// All datagrams that left and came, whatever they carried.
  package var sentDatagrams = 0
  package var receivedDatagrams = 0
  /// Datagrams for peers that a TURN server gives no permission for, or by a relay that is gone: not sent.
  package var relayRefusals = 0
  /// Those of more peers, or for a peer whose permission is not there yet, than there is room for: not sent.
  package var relayOverflows = 0
  /// Connections to TURN servers that ended while they relayed.
  package var relayLosses = 0
  /// Datagrams of connectivity checks that were taken.
  package var checkDatagrams = 0
  /// Datagrams that a key exchange took.
  package var handshakeDatagrams = 0
  /// Handshake messages sent again.
  package var handshakeRetransmissions = 0

  package init() {}

  /// Datagrams that counted as sent, and that the kernel did not take after all.
  mutating func takeBack(_ unsent: Int) {
    self.sentDatagrams -= unsent
    self.sendFailures += unsent
  }

  /// Every datagram that came, by what became of it: equal to `receivedDatagrams` once the transport has stopped.
  package var accountedDatagrams: Int {
    let video = self.video.map { $0.receivedPackets + $0.duplicate + $0.suspect + $0.repairs } ?? 0
    let media = self.receivedPackets + self.duplicate + self.suspect + self.receivedReports + video
    let control = self.handshakeDatagrams + self.checkDatagrams
    return media + control + self.drops.total - self.drops.mailboxFull - self.undecodable
  }
}
