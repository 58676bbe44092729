package import ModuleKit

/// The annotated files that a new config folder starts with, generated from what the core and the modules declare.
package enum DefaultConfig {
  /// The config file: a key that is commented out shows its default.
  package static func text(modules: [any Module.Type]) -> String {
    var text = """
      # Apus configuration: a key, blanks, a value; "#" starts a comment.
      # A key that is commented out shows its default, or an example where it has none.
      # "apus check" explains what is wrong with a file.

      """
    for section in CoreKeys.sections {
      text += heading(section.title)
      for key in section.keys { text += lines(for: key) }
    }
    text += heading("Modules")
    text += "# Switched on in this order, which is also the order of preference.\n"
    for module in modules {
      text += "\n# \(module.summary)\n"
      text += (commentedOut.contains(module.name) ? "#" : "") + line("module", module.name)
    }
    for module in modules where !module.configKeys.isEmpty {
      text += heading("Settings of \(module.name)")
      for key in module.configKeys { text += lines(for: key) }
    }
    return text
  }

  /// The accounts file: no account yet.
  package static let accounts = """
    # SIP accounts, one a line:
    #
    #   "Name" <sip:user@host;transport=udp>;parameter=value;parameter=value
    #
    # Parameters, with their defaults:
    #   regint=3600                 seconds between registrations; 0 doesn't register
    #   auth_user=USER              when it isn't the user of the address
    #   auth_pass=PASSWORD
    #   outbound="sip:proxy;lr"     outbound proxy
    #   answermode=manual           manual, early, early-audio, early-video, auto
    #   answerdelay=0               milliseconds before an automatic answer
    #   mediaenc=none               none, srtp, srtp-mand, srtp-mandf, dtls_srtp
    #   rtcp_mux=no
    #   ptime=20                    milliseconds of audio in a packet
    #   audio_codecs=opus/48000/2,pcmu
    #   video_codecs=vp8,h264       without it all, in the order of the modules
    #   audio_source=MODULE,DEVICE
    #   audio_player=MODULE,DEVICE
    #   dtmfmode=rtpevent           rtpevent, info, auto
    #   call_transfer=yes
    #
    # An account without a registrar, for calls within this host's network:
    #<sip:alice@192.0.2.1>;regint=0

    """

  /// The contacts file: no contact yet.
  package static let contacts = """
    # Contacts, one a line:
    #
    #   "Name" <sip:user@host>;presence=none;access=allow
    #
    # Parameters:
    #   presence=none               none, p2p: shown by /contacts (module presence)
    #   dialog=none                 none, p2p: whether the contact is in a call (module presence)
    #   access=allow                allow, block; <sip:*@*>;access=block blocks everybody else
    #
    #"Bob" <sip:bob@192.0.2.2>

    """

  /// Values that a fresh folder has, where baresip's default alone would leave it without sound.
  private static let chosen = ["audio_player": "aubridge,default", "audio_source": "ausine,440"]
  /// What a commented-out key shows, where its default is empty.
  private static let examples = [
    "sip_listen": "0.0.0.0:5060", "audio_path": "/usr/share/apus", "audio_alert": "aubridge,alert",
    "video_source": "vidbridge,default", "video_display": "vidbridge,default",
    "net_interface": "eth0", "net_af": "ipv4", "sip_autoanswer_method": "rfc5373", "sip_transports": "udp,tcp,tls",
    "sip_certificate": "cert.pem",
    "sip_cafile": "/etc/ssl/certs/ca-certificates.crt", "sip_capath": "/etc/ssl/certs", "dns_server": "192.0.2.53:53",
    "dns_fallback": "192.0.2.54:53", "sip_ws_listen": "0.0.0.0:8080", "sip_wss_listen": "0.0.0.0:8443",
    "whip_certificate": "cert.pem", "whip_token": "SECRET", "whip_origin": "https://example.com",
    "whip_client_token": "SECRET",
    "http_certificate": "cert.pem",
    "http_token": "SECRET", "http_recordings": "/var/lib/apus/recordings",
  ]
  /// Modules that a fresh folder leaves off: they write to the terminal, open a port, tell others of us, need a trait, or
  /// wait in every call for a command that few give.
  private static let commentedOut: Set<String> = [
    "vumeter", "mixausrc", "ctrl_tcp", "alsa", "whip", "httpd", "presence", "serreg",
  ]

  private static func heading(_ title: String) -> String {
    "\n#\(String(repeating: "-", count: 78))\n# \(title)\n\n"
  }

  private static func lines(for key: ConfigKey) -> String {
    let comment = "# \(key.help)\(range(of: key.kind))\n"
    if let value = chosen[key.name] { return comment + line(key.name, value) }
    let shown = key.defaultValue.isEmpty ? examples[key.name] ?? "VALUE" : key.defaultValue
    return comment + "#" + line(key.name, shown)
  }

  private static func range(of kind: ConfigKey.Kind) -> String {
    switch kind {
    case .bool: " [yes, no]"
    case .integer(let range): " [\(range.lowerBound) to \(range.upperBound)]"
    case .decimal(let range): " [\(range.lowerBound) to \(range.upperBound)]"
    case .choice(let words): " [\(words.joined(separator: ", "))]"
    case .range(let range): " [\(range.lowerBound)-\(range.upperBound)]"
    case .string: ""
    }
  }

  private static func line(_ key: String, _ value: String) -> String {
    let quoted = value.contains(where: \.isBlank) ? "\"\(value)\"" : value
    return key + String(repeating: " ", count: max(1, 28 - key.count)) + quoted + "\n"
  }
}
