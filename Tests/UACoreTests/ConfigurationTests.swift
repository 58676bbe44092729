internal import ModuleKit
internal import NetBase
internal import SIPStack
internal import SRTPEngine
internal import Testing

@testable internal import UACore

@Suite("configuration")
struct ConfigurationTests {
  private func load(_ text: String, preloaded: [String] = []) -> (Configuration, [String]) {
    var problems: [ConfigProblem] = []
    let configuration = Configuration.load(
      text: text, file: "config", modules: ConfigModules.all, preloaded: preloaded, problems: &problems)
    return (configuration, problems.map(\.description))
  }

  @Test("an empty file gives baresip's defaults")
  func defaults() {
    let (configuration, problems) = self.load("")
    #expect(problems.isEmpty)
    #expect(configuration.sipListen == nil)
    #expect(configuration.sipTOS == 160)
    #expect(configuration.callLocalTimeout == 120)
    #expect(configuration.callMaxCalls == 4)
    #expect(configuration.callHoldOtherCalls)
    #expect(configuration.tollNumbers == .standard && configuration.callMaxTransfers == 5)
    #expect(configuration.audioSource == nil)
    #expect(configuration.videoSource == nil && configuration.videoDisplay == nil)
    #expect(configuration.telephoneEventPayloadType == 101)
    #expect(configuration.rtpTOS == 184)
    #expect(configuration.rtpPorts == 1024...49152)
    #expect(configuration.jitterBufferType == .fixed)
    #expect(configuration.jitterBufferDelay == 100...200)
    #expect(configuration.jitterBufferSize == 50)
    #expect(configuration.rtpTimeout == nil)
    #expect(configuration.rxMode == .main)
    #expect(configuration.rxPolicy == .lock)
    #expect(configuration.rxWorkers == nil && !configuration.usesSinglePort)
    #expect(configuration.srtpTransform == .standard)
    #expect(configuration.netAf == nil)
    #expect(configuration.activeModules == ["udp", "sip_udp"])
  }

  @Test("every key is read")
  func everyKey() {
    let (configuration, problems) = self.load(
      """
      sip_listen 127.0.0.1:5080
      sip_tos 0
      call_local_timeout 0
      call_max_calls 0
      call_hold_other_calls off
      toll_prefixes 0900,00
      call_max_transfers 0
      audio_path /usr/share/sounds
      audio_player aubridge,one
      audio_source "aufile,/tmp/a, b.wav"
      audio_alert aubridge
      video_source aubridge,film
      video_display aufile,seen.ivf
      audio_telev_pt 96
      rtp_tos 46
      rtp_ports 10000-20000
      audio_jitter_buffer_type Adaptive
      audio_jitter_buffer_ms 20-60
      audio_jitter_buffer_size 100
      rtp_timeout 60
      rtp_rxmode pool
      rtp_rxmode_policy marshal
      rtp_rx_workers 3
      rtp_single_port yes
      srtp_engine LibSRTP2
      net_interface eth0
      net_af ipv6
      module_path /usr/lib/baresip/modules
      module g711.so
      module_tmp opus
      module_app aufile.so
      module /usr/lib/baresip/modules/aubridge.so
      module g711
      opus_bitrate 64000
      opus_inbandfec 1
      """)
    #expect(problems.isEmpty)
    #expect(configuration.sipListen == SocketAddress("127.0.0.1:5080"))
    #expect(configuration.callLocalTimeout == nil)
    #expect(configuration.callMaxCalls == nil)
    #expect(!configuration.callHoldOtherCalls)
    #expect(configuration.tollNumbers.prefixes == ["0900", "00"] && configuration.callMaxTransfers == 0)
    #expect(configuration.audioPlayer == AudioDevice(driver: "aubridge", device: "one"))
    #expect(configuration.audioSource == AudioDevice(driver: "aufile", device: "/tmp/a, b.wav"))
    #expect(configuration.audioAlert == AudioDevice(driver: "aubridge", device: ""))
    #expect(configuration.videoSource == VideoDevice(driver: "aubridge", device: "film"))
    #expect(configuration.videoDisplay == VideoDevice(driver: "aufile", device: "seen.ivf"))
    #expect(configuration.rtpPorts == 10000...20000)
    #expect(configuration.jitterBufferType == .adaptive)
    #expect(configuration.jitterBufferDelay == 20...60)
    #expect(configuration.rtpTimeout == 60)
    #expect(configuration.rxMode == .pool)
    #expect(configuration.rxPolicy == .marshal)
    #expect(configuration.rxWorkers == 3 && configuration.usesSinglePort)
    #expect(configuration.srtpTransform == .libsrtp2)
    #expect(configuration.netAf == .ipv6)
    #expect(configuration.activeModules == ["udp", "sip_udp", "g711", "opus", "aufile", "aubridge"])
    let settings = configuration.settings(for: ConfigModules.Opus.self)
    #expect(settings.integer("opus_bitrate") == 64000)
    #expect(settings.bool("opus_inbandfec"))
    #expect(settings.string("opus_application") == "audio")
    #expect(settings.decimal("opus_gain") == 0.5)
  }

  @Test("every limit of SIP is read, and none for another", arguments: LimitKeys.all)
  func limits(limit: LimitKeys.Limit) {
    #expect(Configuration().sipLimits == SIPLimits())
    let (configuration, problems) = self.load("\(limit.key.name) 1000")
    var expected = SIPLimits()
    expected[keyPath: limit.path] = 1000
    guard limit.key.name != "sip_max_headers" else {
      #expect(problems.map(\.description).joined().contains("a whole number from 20 to 256"))
      return
    }
    #expect(problems.isEmpty && configuration.sipLimits == expected)
  }

  @Test(
    "each kind of problem has its sentence",
    arguments: [
      ("audio_sorce x", "error: audio_sorce: neither Apus nor baresip has such a key; did you mean \"audio_source\"?"),
      ("quibble 1", "error: quibble: neither Apus nor baresip has such a key"),
      ("opus_bitrat 1", "error: opus_bitrat: neither Apus nor baresip has such a key; did you mean \"opus_bitrate\"?"),
      ("rtp_tos 256", "error: rtp_tos: \"256\" is not allowed: it takes a whole number from 0 to 255"),
      ("rtp_tos 1x", "error: rtp_tos: \"1x\" is not allowed: it takes a whole number from 0 to 255"),
      ("rtp_tos", "warning: rtp_tos: it has no value; the line is ignored. It takes a whole number from 0 to 255"),
      ("sip_capath", "warning: sip_capath: it has no value; the line is ignored. A folder of such authorities."),
      ("call_hold_other_calls maybe", "error: call_hold_other_calls: \"maybe\" is not allowed: it takes yes or no"),
      ("rtp_rxmode fast", "error: rtp_rxmode: \"fast\" is not allowed: it takes one of main, thread, pool"),
      (
        "rtp_rxmode_policy none",
        "error: rtp_rxmode_policy: \"none\" is not allowed: it takes one of reject, lock, marshal"
      ),
      (
        "rtp_ports 20000-10000",
        "error: rtp_ports: \"20000-10000\" is not allowed: it takes two numbers with a hyphen, the smaller first, "
          + "from 1024 to 65535"
      ),
      (
        "rtp_ports 80-90",
        "error: rtp_ports: \"80-90\" is not allowed: it takes two numbers with a hyphen, the smaller first, "
          + "from 1024 to 65535"
      ),
      ("opus_gain nan", "error: opus_gain: \"nan\" is not allowed: it takes a number from -10.0 to 10.0"),
      (
        "sip_listen localhost",
        "error: sip_listen: \"localhost\" is not allowed: it takes an address and a port, for example 0.0.0.0:5060"
      ),
      ("audio_source ,x", "error: audio_source: \",x\" is not allowed: it takes MODULE,DEVICE"),
      ("video_source ,x", "error: video_source: \",x\" is not allowed: it takes MODULE,DEVICE"),
      (
        "video_display aubridge,x",
        "error: video_display: the module aubridge is not switched on: add the line \"module aubridge\" to the config"
      ),
      (
        "video_source v4l2,/dev/video0",
        "warning: video_source: v4l2: this module of baresip is not part of Apus; calls go without it"
      ),
      (
        "module avcodec.so",
        "warning: module: avcodec: nothing is encoded or decoded here: h264 passes H.264 on as it is encoded; "
          + "the line is ignored"
      ),
      (
        "audio_source ausine,440",
        "error: audio_source: the module ausine is not switched on: add the line \"module ausine\" to the config"
      ),
      (
        "audio_source alsa,default",
        "warning: audio_source: alsa: this module of baresip is not part of Apus; calls go without it"
      ),
      ("video_size 640x480", "warning: video_size: this key of baresip has no effect in Apus; the line is ignored"),
      (
        "mqtt_broker_host h",
        "warning: mqtt_broker_host: this key of baresip has no effect in Apus; the line is ignored"
      ),
      (
        "rtcp_mux yes",
        "warning: rtcp_mux: it is set for an account (;rtcp_mux=yes in the accounts file); the line is ignored"
      ),
      (
        "jitter_buffer_type off",
        "warning: jitter_buffer_type: newer baresips call it audio_jitter_buffer_type, and so does Apus; "
          + "the line is ignored"
      ),
      ("module alsa.so", "warning: module: alsa: this module of baresip is not part of Apus; the line is ignored"),
      (
        "module opsu.so",
        "error: module: neither Apus nor baresip has a module \"opsu\"; did you mean \"opus\"?"
      ),
      ("module_app xylophone", "error: module_app: neither Apus nor baresip has a module \"xylophone\""),
    ])
  func sentences(line: String, sentence: String) {
    let (_, problems) = self.load("# a comment\n\(line)\n")
    #expect(problems == ["config:2: \(sentence)"])
  }

  @Test(
    "a key of a baresip long past is warned of, and stops nothing",
    arguments: [
      "sip_trans_bsize", "input_device", "input_port", "audio_srate", "audio_channels", "audio_aec_length",
      "rtcp_enable", "webrtc_aec_extended_filter", "speex_quality", "natbd_server",
    ])
  func pastKeys(name: String) {
    let (_, problems) = self.load("\(name) 1")
    #expect(problems == ["config:1: warning: \(name): this key of baresip has no effect in Apus; the line is ignored"])
  }

  @Test("baresip's modules whose work Apus does are not said to be missing")
  func doneElsewhere() {
    #expect(self.load("module mwi.so\nmodule_app netroam.so\n").1 == [])
    for name in ["stun", "turn"] {
      #expect(
        self.load("module \(name).so").1 == [
          "config:1: warning: module: \(name): module ice asks these servers, with medianat=ice and a stunserver of "
            + "the account's; the line is ignored"
        ])
    }
  }

  @Test("one port for all calls is warned of where each call has a loop of its own", arguments: RxMode.allCases)
  func singlePort(mode: RxMode) {
    let (configuration, problems) = self.load("rtp_single_port yes\nrtp_rxmode \(mode.rawValue)\n")
    #expect(configuration.usesSinglePort && configuration.rxMode == mode)
    let sentence =
      "config:1: warning: rtp_single_port: it has no effect with \"rtp_rxmode thread\", where each call has a loop of "
      + "its own: set \"rtp_rxmode pool\" or \"rtp_rxmode main\""
    #expect(problems == (mode == .thread ? [sentence] : []))
  }

  @Test("the first of two lines counts, and a key of baresip's is warned of once")
  func twice() {
    let (configuration, problems) = self.load("rtp_tos 1\nrtp_tos 2\nrtp_stats yes\nrtp_stats no\n")
    #expect(configuration.rtpTOS == 1)
    #expect(
      problems == [
        "config:2: warning: rtp_tos: it stands in line 1 too; this one is ignored",
        "config:3: warning: rtp_stats: this key of baresip has no effect in Apus; the line is ignored",
      ])
  }

  @Test("SIP's transports, TLS and DNS servers")
  func signalling() {
    let (configuration, problems) = self.load(
      """
      sip_transports udp,TLS
      sip_trans_def tls
      sip_certificate me.pem
      sip_cafile ca.pem
      sip_verify_server no
      sip_verify_client yes
      dns_server 192.0.2.1
      dns_server 192.0.2.2:5353
      dns_fallback [2001:db8::1]:53
      """)
    #expect(problems == [])
    #expect(configuration.sipTransports == [.udp, .tls] && configuration.sipDefaultTransport == .tls)
    #expect(
      configuration.sipSecurity
        == SIPSecurity(
          certificate: "me.pem", authorityFile: "ca.pem", verifiesServer: false, verifiesClient: true))
    #expect(configuration.dnsServers.map(\.description) == ["192.0.2.1:53", "192.0.2.2:5353"])
    #expect(configuration.dnsFallbacks.map(\.description) == ["[2001:db8::1]:53"])
    #expect(Configuration().sipTransports == nil && Configuration().sipSecurity == SIPSecurity())
  }

  @Test(
    "a toll number, a transport or a DNS server that is none is an error",
    arguments: [
      (
        "toll_prefixes +,abc",
        "toll_prefixes: \"+,abc\" is not allowed: it takes beginnings of numbers, for example +,00,0900, or none"
      ),
      (
        "sip_transports udp,sctp",
        "sip_transports: \"udp,sctp\" is not allowed: it takes a list of udp, tcp, tls, ws, wss"
      ),
      (
        "dns_server ns.example",
        "dns_server: \"ns.example\" is not allowed: it takes an address and a port, for example 192.0.2.53:53"
      ),
    ])
  func unsoundSignalling(line: String, sentence: String) {
    let (_, problems) = self.load(line)
    #expect(problems == ["config:1: error: \(sentence)"])
  }

  @Test("problems come in the order of the lines")
  func order() {
    let (_, problems) = self.load("audio_source ausine\nrtp_tos x\naudio_alert nowhere\nmodule nosuchthing")
    #expect(problems.map { $0.prefix(9) } == ["config:1:", "config:2:", "config:3:", "config:4:"])
  }

  @Test("a value that isn't allowed leaves the default")
  func fallback() {
    let (configuration, problems) = self.load("rtp_tos 999\nopus_bitrate 1\n")
    #expect(problems.count == 2)
    #expect(configuration.rtpTOS == 184)
    #expect(configuration.settings(for: ConfigModules.Opus.self).integer("opus_bitrate") == 28000)
  }

  @Test(
    "SIP listens where sip_listen says; where that is everywhere, at net_interface's address, or in net_af's family",
    arguments: [
      ("", "0.0.0.0:0"), ("sip_listen 0.0.0.0:5060", "0.0.0.0:5060"), ("net_af ipv6", "[::]:0"),
      ("sip_listen 0.0.0.0:5060\nnet_af ipv6", "[::]:5060"), ("sip_listen [::]:5060\nnet_af ipv4", "0.0.0.0:5060"),
      ("sip_listen 0.0.0.0:5060\nnet_interface 127.0.0.1", "127.0.0.1:5060"),
      ("sip_listen 127.0.0.2:5060\nnet_interface 127.0.0.1\nnet_af ipv6", "127.0.0.2:5060"),
      ("sip_listen 0.0.0.0:5060\nnet_interface lo", "0.0.0.0:5060"),
    ])
  func listens(text: String, address: String) {
    let (configuration, _) = self.load(text)
    #expect(configuration.listenAddress(configuration.sipListen).description == address)
  }

  @Test("what is read again while calls stand holds: limits, whom a transfer may not call, how long the end may take")
  func adopted() {
    var (configuration, _) = self.load("toll_prefixes 0900\n")
    let (new, _) = self.load("toll_prefixes 0700\ncall_max_calls 7\ndrain_timeout 9\nsip_listen 127.0.0.1:9\n")
    configuration.adopt(new)
    #expect(configuration.tollNumbers == new.tollNumbers && configuration.drainTimeout == 9)
    #expect(configuration.callMaxCalls == 7 && configuration.sipListen == nil)
  }

  @Test("a preloaded module comes first, and a wrong one is named")
  func preloaded() {
    let (configuration, problems) = self.load("module opus\n", preloaded: ["g711.so", "nope_at_all"])
    #expect(configuration.activeModules == ["udp", "sip_udp", "g711", "opus"])
    #expect(problems == ["-m: error: module: neither Apus nor baresip has a module \"nope_at_all\""])
  }

  @Test("a folder as baresip writes it loads with warnings only")
  func baresipTemplate() {
    let (configuration, problems) = self.load(baresipTemplateText)
    #expect(problems.filter { !$0.contains(": warning: ") } == [])
    #expect(problems.contains { $0.contains("alsa: this module of baresip is not part of Apus; the line is ignored") })
    #expect(configuration.activeModules == ["udp", "sip_udp", "opus", "g711", "srtp"])
    #expect(configuration.jitterBufferType == .adaptive)
    #expect(configuration.rxMode == .thread)
    #expect(configuration.settings(for: ConfigModules.Opus.self).integer("opus_bitrate") == 32000)
  }

  @Test("every default is allowed by its own key")
  func coreDefaults() {
    for key in CoreKeys.all where !key.defaultValue.isEmpty {
      #expect(key.kind.normalised(key.defaultValue) == key.defaultValue, "\(key.name)")
    }
  }

  @Test("no key is both ours and said to have no effect")
  func disjoint() {
    for key in CoreKeys.all { #expect(KnownElsewhere.warning(forKey: key.name) == nil, "\(key.name)") }
  }
}

/// The shape of a config that baresip 1 to 4 leaves in a user's folder.
private let baresipTemplateText = """
  poll_method\t\tepoll\t\t# how to wait

  # SIP
  sip_listen\t\t0.0.0.0:5060
  sip_cafile\t\t/etc/ssl/certs/ca-certificates.crt
  sip_transports\t\tudp,tcp
  sip_trans_def\t\tudp
  sip_verify_server\tyes
  sip_tos\t\t\t160

  call_local_timeout\t120
  call_max_calls\t\t4
  call_hold_other_calls\tyes
  call_accept\t\tno

  audio_player\t\talsa,default
  audio_source\t\talsa,default
  audio_alert\t\talsa,default
  ausrc_srate\t\t48000
  audio_level\t\tno
  ausrc_format\t\ts16\t\t# or float
  auplay_format\t\ts16
  auenc_format\t\ts16
  audec_format\t\ts16
  audio_buffer\t\t20-160\t\t# ms
  audio_telev_pt\t\t101

  video_source\t\tv4l2,/dev/video0
  video_size\t\t"640x480"
  video_bitrate\t\t1000000
  video_fps\t\t30.00
  videnc_format\t\tyuv420p

  rtp_tos\t\t\t184
  rtp_ports\t\t10000-20000
  rtp_bandwidth\t\t512-1024 # kbit/s
  rtcp_mux\t\tno
  jitter_buffer_type\tfixed
  jitter_buffer_delay\t5-10\t\t# frames
  audio_jitter_buffer_type\tadaptive
  audio_jitter_buffer_ms\t100-200
  video_jitter_buffer_size\t250
  rtp_stats\t\tno
  rtp_rxmode\t\tthread
  dns_server\t\t1.1.1.1:53
  dns_server\t\t1.0.0.1:53

  module_path\t\t/usr/lib/baresip/modules
  module\t\t\tstdio.so
  module\t\t\topus.so
  module\t\t\tg711.so
  module\t\t\tauconv.so
  module\t\t\tauresamp.so
  module\t\t\talsa.so
  module\t\t\tavcodec.so
  module\t\t\tstun.so
  module\t\t\tice.so
  module\t\t\tsrtp.so
  module_tmp\t\tuuid.so
  module_tmp\t\taccount.so
  module_app\t\tauloop.so
  module_app\t\tmenu.so
  module_app\t\tnetroam.so

  cons_listen\t\t0.0.0.0:5555 # console
  http_listen\t\t0.0.0.0:8000
  opus_bitrate\t\t32000 # 6000-510000
  vumeter_stderr\t\tyes
  video_selfview\t\twindow
  redial_attempts\t0
  ring_aufile\t\tring.wav
  avcodec_h264enc\tlibx264
  """
