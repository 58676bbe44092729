import AllModules
import Foundation
import ModuleKit
import NetBase
import Testing

@testable import UACore

/// A folder as baresip makes it on its first start: every line that it has switched on, and the modules that its users
/// switch on besides.
@Suite struct BaresipFolderTests {
  static let config = """
    #------------------------------------------------------------------------------
    # Core
    poll_method\t\tepoll\t\t# poll, select, epoll ..

    # SIP
    sip_listen\t\t127.0.0.1:0
    #sip_certificate\tcert.pem
    sip_cafile\t\t/etc/ssl/certs/ca-certificates.crt
    sip_transports\t\tudp

    # Call
    call_local_timeout\t120
    call_max_calls\t\t4
    call_hold_other_calls\tyes

    # Audio
    #audio_path\t\t/usr/share/baresip
    audio_player\t\tnosuchcard,default
    audio_source\t\tnosuchcard,default
    audio_alert\t\tnosuchcard,default
    ausrc_srate\t\t48000
    auplay_channels\t\t0
    audio_txmode\t\tpoll\t\t# poll, thread
    audio_level\t\tno
    ausrc_format\t\ts16\t\t# s16, float, ..
    auenc_format\t\ts16\t\t# s16, float, ..
    audio_buffer\t\t20-160\t\t# ms
    audio_telev_pt\t\t101

    # Video
    video_source\t\tv4l2,/dev/video0
    video_size\t\t640x480
    video_bitrate\t\t1000000
    video_fps\t\t30.00
    video_fullscreen\tno
    videnc_format\t\tyuv420p

    # AVT - Audio/Video Transport
    rtp_tos\t\t\t184
    rtp_video_tos\t\t136
    rtp_ports\t\t10000-20000
    rtp_bandwidth\t\t512-1024 # [kbit/s]
    audio_jitter_buffer_type\tfixed
    audio_jitter_buffer_ms\t100-200
    rtp_stats\t\tno
    rtp_timeout\t\t60
    avt_bundle\t\tno
    rtp_rxmode\t\tmain

    # Network
    dns_fallback\t\t8.8.8.8:53
    net_interface\t\tlo

    # Modules
    module_path\t\t/usr/local/lib/baresip/modules
    module\t\t\tstdio.so
    module\t\t\tcons.so
    module\t\t\thttpd.so
    module\t\t\topus.so
    module\t\t\tg711.so
    module\t\t\tg722.so
    module\t\t\talsa.so
    module\t\t\tauconv.so
    module\t\t\tauresamp.so
    module\t\t\tsndfile.so
    module\t\t\tavcodec.so
    module\t\t\tselfview.so
    module\t\t\tstun.so
    module\t\t\tturn.so
    module\t\t\tice.so
    module\t\t\tsrtp.so
    module\t\t\tdtls_srtp.so
    module_tmp\t\tuuid.so
    module_tmp\t\taccount.so
    module_app\t\tauloop.so
    module_app\t\tcontact.so
    module_app\t\tdebug_cmd.so
    module_app\t\tmenu.so
    module_app\t\tmwi.so
    module_app\t\tnetroam.so
    module_app\t\tvidloop.so

    # Module parameters
    cons_listen\t\t0.0.0.0:5555 # cons - Console UI UDP/TCP sockets
    http_listen\t\t0.0.0.0:8000 # httpd - HTTP Server
    ctrl_tcp_listen\t\t0.0.0.0:4444 # ctrl_tcp - TCP interface JSON
    evdev_device\t\t/dev/input/event0
    opus_bitrate\t\t28000 # 6000-510000
    opus_application\taudio\t# {voip,audio}
    vumeter_stderr\t\tyes
    video_selfview\t\twindow # {window,pip}
    zrtp_hash\t\tno  # Disable SDP zrtp-hash (not recommended)
    redial_attempts\t\t0 # Num or <inf>
    redial_delay\t\t5 # Delay in seconds
    ringback_disabled\tno
    statmode_default\toff
    menu_clean_number\tno
    sip_autoanswer_method\trfc5373
    ring_aufile\t\tring.wav
    avcodec_h264enc\t\tlibx264
    mqtt_broker_host\t127.0.0.1
    ice_policy\t\tall
    gtk_use_window\tyes
    gtk_use_status_icon\tyes
    multicast_jbuf_type\tfixed
    mpa_bitrate\t\t64000
    codec2_mode\t\t3200
    auloop_codec\t\tl16
    """

  static let accounts = """
    #  <sip:user@domain.com;transport=tcp>;auth_pass=secret
    "Mr User" <sip:user@domain.com>;100rel=yes;answerdelay=1000;answermode=auto;audio_codecs=pcmu/8000/1,pcma\
    ;autelev_pt=101;auth_pass=pass;auth_user=xuser;call_transfer=no;catchall=yes;dtmfmode=auto;extra=EXTRA;fbregint=120\
    ;inreq_allowed=yes;mwi=no;natpinhole=yes;outbound="sip:edge.domain.com";prio=42;ptime=10;pubint=700;regint=600\
    ;regq=0.5;rtcp_mux=yes;rwait=3600;sip_autoanswer=yes;sip_autoanswer_beep=yes;sip_autoredirect=no;sipnat=outbound\
    ;stunpass=taj:aa;stunserver="stun:stunserver.org";stunuser=bob@bob.com;tcpsrcport=49152;video_codecs=h266\
    ;video_display=sdl,default;medianat=ice
    <sip:other@192.0.2.7>;regint=0;audio_source=alsa,null
    """

  static let contacts = """
    "Echo Server" <sip:echo@creytiv.com>
    "user" <sip:user@domain>;presence=p2p
    "Catch All" <sip:*@*>;access=block
    "Good Friend" <sip:good@friend.com>;access=allow
    """

  @Test("baresip's folder starts, with warnings only")
  func starts() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-baresip-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in [("config", Self.config), ("accounts", Self.accounts), ("contacts", Self.contacts)] {
      try text.replacingOccurrences(of: "nosuchcard", with: "pulse").write(
        toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }
    var problems: [ConfigProblem] = []
    let loaded = try ConfigFolder.load(path: folder, modules: allModules, problems: &problems)
    #expect(problems.filter { $0.severity == .error } == [])
    // Every warning names a line that has no effect; what Apus has is silent.
    #expect(!problems.contains { $0.message.contains("menu") || $0.message.contains("g711") })
    #expect(problems.contains { $0.message.hasPrefix("cons:") } && problems.contains { $0.key == "video_size" })
    #expect(loaded.accounts.count == 2 && loaded.contacts.count == 4)
    #expect(loaded.configuration.activeModules.contains("dtls_srtp"))

    var settings = AgentSettings(
      available: allModules, configuration: loaded.configuration, listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
    settings.contacts = loaded.contacts
    let agent = UserAgent(settings)
    do {
      try await agent.start()
      try await agent.setAccounts(
        loaded.accounts.map { CallSettings(account: $0, configuration: loaded.configuration) })
      #expect(await agent.execute("/contacts").text.contains("Good Friend"))
      #expect(await agent.execute("/reginfo").text.contains("sip:user@domain.com"))
    } catch { Issue.record("\(error)") }
    await agent.shutDown()
  }
}
