package import ModuleKit

extension CallReport {
  /// As `--json` prints a call.
  package var json: JSON {
    let media = self.media
    return [
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
      "tx": ["packets": .integer(media.sentPackets), "bytes": .integer(media.sentBytes)],
      "rx": [
        "packets": .integer(media.receivedPackets), "bytes": .integer(media.receivedBytes),
        "lost": .integer(media.lost), "late": .integer(media.late), "duplicate": .integer(media.duplicate),
        "jitter_ms": .number(media.jitter), "concealed_ms": .integer(media.concealed),
      ],
      "rtcp": ["sent": .integer(media.sentReports), "received": .integer(media.receivedReports)],
      "datagrams": [
        "sent": .integer(media.sentDatagrams), "received": .integer(media.receivedDatagrams),
        "refused": .integer(media.sendFailures),
      ],
      "drops": [
        "auth": .integer(media.drops.auth), "replay": .integer(media.drops.replay),
        "plaintext": .integer(media.drops.plaintext), "source": .integer(media.drops.source),
        "unknown": .integer(media.drops.unknown), "mailbox_full": .integer(media.drops.mailboxFull),
        "no_key": .integer(media.drops.noKey), "crowded": .integer(media.drops.crowded),
        "ended": .integer(media.drops.ended),
        "checks": .integer(media.drops.checks), "unpermitted": .integer(media.drops.unpermitted),
        "unbound": .integer(media.drops.unbound),
      ],
      "relays": [
        "refused": .integer(media.relayRefusals), "full": .integer(media.relayOverflows),
        "lost": .integer(media.relayLosses),
      ],
    ]
  }
}
