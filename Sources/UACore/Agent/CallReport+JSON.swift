package import ModuleKit
internal import RTPStack

extension CallReport {
  /// As `--json` prints a call.
  package var json: JSON {
    let media = self.media
    let all: JSON = [
      "peer": .string(self.peer), "direction": .string(self.isOutgoing ? "outgoing" : "incoming"),
      "state": .string(self.state.rawValue), "reason": .string(self.reason),
      "status": self.status.map { .integer($0) } ?? .null,
      "setup_ms": self.setup.map { .number($0) } ?? .null,
      "secure_ms": self.secure.map { .number($0) } ?? .null,
      "media_ms": self.firstMedia.map { .number($0) } ?? .null,
      "duration_s": .number(self.duration), "mediaenc": .string(self.mediaEncryption),
      "srtp_profile": self.profile.map { .string($0) } ?? .null,
      "dtls_version": self.dtlsVersion.map { .string($0) } ?? .null,
      "codec": self.codec.map { .string($0) } ?? .null, "rxmode": .string(self.rxMode.rawValue),
      "rekeys": .integer(media.rekeys), "rtt_ms": media.roundTrip.map { .number($0) } ?? .null,
      "mos": media.meanOpinionScore.map { .number($0) } ?? .null,
      "tx": [
        "packets": .integer(media.sentPackets), "bytes": .integer(media.sentBytes),
        "unencodable": .integer(media.unencodable),
      ],
      "rx": [
        "packets": .integer(media.receivedPackets), "bytes": .integer(media.receivedBytes),
        "lost": .integer(media.lost), "late": .integer(media.late), "duplicate": .integer(media.duplicate),
        "jitter_ms": .number(media.jitter), "concealed_ms": .integer(media.concealed),
        "recovered": .integer(media.recovered),
        "level_dbov": media.audioLevel.map { .integer($0.decibels) } ?? .null,
        "voice": media.audioLevel.map { .bool($0.hasVoice) } ?? .null,
      ],
      "rtcp": ["sent": .integer(media.sentReports), "received": .integer(media.receivedReports)],
      "datagrams": [
        "sent": .integer(media.sentDatagrams), "received": .integer(media.receivedDatagrams),
        "refused": .integer(media.sendFailures),
      ],
      "drops": media.drops.json,
      "unused_candidates": [
        "tcp": .integer(self.unusedCandidates.tcp), "named": .integer(self.unusedCandidates.named),
        "unreadable": .integer(self.unusedCandidates.unreadable),
      ],
      "relays": [
        "refused": .integer(media.relayRefusals), "full": .integer(media.relayOverflows),
        "lost": .integer(media.relayLosses),
      ],
    ]
    guard let video, case .object(let members) = all else { return all }
    return .object(members + [JSON.Member(key: "video", value: video.json(self.videoTransport))])
  }
}

extension DropCounters {
  fileprivate var json: JSON {
    [
      "auth": .integer(self.auth), "replay": .integer(self.replay), "plaintext": .integer(self.plaintext),
      "source": .integer(self.source), "unknown": .integer(self.unknown), "mailbox_full": .integer(self.mailboxFull),
      "no_key": .integer(self.noKey), "crowded": .integer(self.crowded), "ended": .integer(self.ended),
      "checks": .integer(self.checks), "unpermitted": .integer(self.unpermitted), "unbound": .integer(self.unbound),
    ]
  }
}

extension VideoStatistics {
  /// - Parameter transport: its own; nil where the audio's carries it, and counts for both.
  func json(_ transport: TransportStatistics?) -> JSON {
    [
      "drops": transport?.drops.json ?? .null,
      "codec": .string(self.encodingName),
      "tx": [
        "packets": .integer(self.sentPackets), "bytes": .integer(self.sentBytes), "frames": .integer(self.sentFrames),
        "key_frames": .integer(self.sentKeyFrames), "resent": .integer(self.resent),
        "resends_refused": .integer(self.refusedResends),
        "key_frame_requests": .integer(self.receivedKeyFrameRequests),
      ],
      "rx": [
        "packets": .integer(self.receivedPackets), "bytes": .integer(self.receivedBytes),
        "frames": .integer(self.receivedFrames), "key_frames": .integer(self.receivedKeyFrames),
        "discarded_frames": .integer(self.discardedFrames), "lost": .integer(self.lost),
        "recovered": .integer(self.recovered), "late": .integer(self.late), "duplicate": .integer(self.duplicate),
        "refused": .integer(self.refused), "malformed": .integer(self.malformed), "jitter_ms": .number(self.jitter),
        "key_frame_requests": .integer(self.keyFrameRequests),
      ],
    ]
  }
}
