internal import ModuleKit

/// What a baresip folder may name and Apus does not have: worth a warning, not an error.
enum KnownElsewhere {
  /// What becomes of a baresip module's line.
  static func warning(forModule name: String) -> String? {
    if name == "avcodec" {
      return "nothing is encoded or decoded here: h264 passes H.264 on as it is encoded; the line is ignored"
    }
    if name == "stun" || name == "turn" {
      return "module ice asks these servers, with medianat=ice and a stunserver of the account's; the line is ignored"
    }
    if modules.contains(name) { return "this module of baresip is not part of Apus; the line is ignored" }
    return nil
  }

  /// What this build lacks of a module that baresip's folders name; nil when it is whole, or none of baresip's.
  static func absence(of name: String, in modules: [any Module.Type]) -> String? {
    guard self.modules.contains(name) else { return nil }
    return modules.first { $0.name == name }?.absence
  }

  /// What becomes of a baresip key's line.
  static func warning(forKey name: String) -> String? {
    if name == "rtcp_mux" {
      return "it is set for an account (;rtcp_mux=yes in the accounts file); the line is ignored"
    }
    if let heir = renamed[name] { return "newer baresips call it \(heir), and so does Apus; the line is ignored" }
    if keys.contains(name) || prefixes.contains(where: { name.hasPrefix($0) && name.count > $0.count }) {
      return "this key of baresip has no effect in Apus; the line is ignored"
    }
    return nil
  }

  /// Modules of baresip whose work is done by Apus's core; their lines are taken as they are.
  static let builtIn: Set<String> = [
    "account", "auconv", "auresamp", "contact", "debug_cmd", "menu", "mwi", "netroam", "stdio", "uuid",
  ]

  /// Modules of baresip, past ones too.
  static let modules: Set<String> = Set(
    """
    aac aaudio account alsa amr aptx aubridge auconv audiounit aufile augain auloop aupipe auresamp ausine av1 \
    avcapture avcodec avfilter avformat b2bua bv32 cairo celt codec2 cons contact coreaudio ctrl_dbus ctrl_tcp \
    debug_cmd directfb dshow dtls_srtp dtmfio ebuacip echo evdev fakevideo fvad g711 g722 g7221 g726 gsm gst gst1 \
    gst_video gst_video1 gtk gzrtp h265 httpd httpreq i2s ice ilbc in_band_dtmf isac jack l16 libsrtp menu mixausrc \
    mixminus mpa mqtt multicast mwi natbd natpmp netroam omx opengl opengles opensles opus opus_multistream oss pcp \
    pipewire plc portaudio presence pulse pulse_async quicktime qtcapture rst rtcpsummary sdl sdl2 selfview serreg \
    silk snapshot sndfile sndio speex speex_aec speex_pp srtp stdio stun swscale syslog turn uuid v4l v4l2 v4l2_codec \
    vidbridge vidinfo vidloop vp8 vp9 vumeter wasapi webrtc_aec webrtc_aecm wincons winwave x11 x11grab zrtp
    """.split(separator: " ").map(String.init))

  /// Keys of baresip's core and modules, past ones too.
  static let keys: Set<String> = Set(
    """
    sip_tls_resumption sip_cuser_random filter_registrar call_accept bfcp_proto prefer_ipv6 \
    ausrc_srate auplay_srate ausrc_channels auplay_channels ausrc_format auplay_format auenc_format \
    audec_format audio_buffer audio_buffer_mode audio_silence audio_txmode file_ausrc file_srate file_channels \
    video_size video_bitrate video_sendrate video_burst_bits video_fps video_fullscreen \
    videnc_format video_jitter_buffer_type video_jitter_buffer_ms video_jitter_buffer_size video_jitter_buffer_delay \
    audio_jitter_buffer_delay jitter_buffer_delay jitter_buffer_wish rtp_video_tos rtp_bandwidth rtp_stats \
    dns_getaddrinfo poll_method \
    cons_listen ctrl_tcp_listen http_listen dtls_srtp_use_ec ice_debug ice_turn ice_nomination ice_mode \
    opus_bitrate opus_stereo opus_sprop_stereo opus_cbr opus_inbandfec opus_dtx opus_mirror opus_complexity \
    opus_application opus_samplerate opus_packet_loss opus_ms_channels opus_ms_streams opus_ms_c_streams \
    menu_bell sip_autoanswer_beep menu_max_earlyaudio menu_max_earlyvideo_rx menu_max_earlyvideo_tx menu_message_tone \
    hangup_aufile snd_path mixausrc_wish_size augain netroam_interval natpmp_server pcp_server \
    video_selfview selfview_size vumeter_stderr vp8_enc_threads vp8_enc_cpuused vidinfo_layout evdev_device \
    jack_connect_ports auloop_codec zrtp_hash ctrl_dbus_use ebuacip_jb_type alsa_sample_format \
    sip_trans_bsize input_device input_port audio_dev audio_srate audio_channels audio_aec_length video_dev \
    rtcp_enable webrtc_aec_extended_filter
    """.split(separator: " ").map(String.init))

  /// Families of keys that baresip's modules read.
  private static let prefixes = [
    "mqtt_", "avcodec_", "avformat_", "httpreq_", "speex_", "natbd_", "gtk_", "multicast_", "mpa_", "codec2_",
  ]

  /// Old names of keys that Apus has.
  private static let renamed = ["jitter_buffer_type": "audio_jitter_buffer_type"]
}
