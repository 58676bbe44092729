internal import ModuleKit
internal import NetBase
internal import SDPCodec

/// A call's video as main sees it: frames that pass as they were encoded, from a source and to a display.
final class CallVideo {
  let codecs: [any VideoCodec]
  let ssrc: UInt32
  let retransmissionSSRC: UInt32
  /// Its own transport; nil without one, and where the audio's carries it.
  private(set) var section: MediaSection?
  /// Transports of its own that are of no use any more, until they have closed.
  private(set) var retired: [MediaSection] = []
  /// Where the descriptions have it.
  struct Place {
    /// The line's number, from the first description that has one.
    var index: Int?
    /// Whether the audio's transport carries it, as was agreed last.
    var isBundled = false
  }

  var place = Place()
  var index: Int? {
    get { self.place.index }
    set { self.place.index = newValue }
  }
  var isBundled: Bool {
    get { self.place.isBundled }
    set { self.place.isBundled = newValue }
  }
  /// What this side wants when it does not hold the peer, from the next offer or answer on.
  var direction: AudioDirection
  private let makeSection: (SocketAddress) throws -> MediaSection
  private let source: (device: String, offer: VideoSourceOffer)?
  private let sink: (device: String, offer: VideoSinkOffer)?
  private let stream: StreamID
  /// What was made for the codec and the transport in use.
  private var devices:
    (encodingName: String, section: MediaSection, source: VideoSourceFactory?, sink: VideoSinkFactory?)?

  /// Nil where the settings have neither a source nor a display.
  ///
  /// - Throws: `ModuleError` where they name what no active module brings.
  init?(
    environment: MediaEnvironment, settings: CallSettings, stream: StreamID, canonicalName: String,
    announce: @escaping @Sendable () -> Void, warn: @escaping (String) -> Void
  ) throws {
    guard settings.videoSource != nil || settings.videoDisplay != nil else { return nil }
    let registry = environment.registry
    self.codecs = try registry.videoCodecs(settings.videoCodecs)
    self.stream = stream
    if let device = settings.videoSource {
      self.source = (device.device, try registry.videoSource(device.driver))
    } else {
      self.source = nil
    }
    if let device = settings.videoDisplay {
      self.sink = (device.device, try registry.videoSink(device.driver))
    } else {
      self.sink = nil
    }
    self.direction = settings.videoDirection
    let ssrc = UInt32(truncatingIfNeeded: environment.random())
    self.ssrc = ssrc
    self.retransmissionSSRC = UInt32(truncatingIfNeeded: environment.random())
    self.makeSection = { address in
      // Two lines of a description don't name one port, and two associations can't be told apart there.
      try MediaSection(
        environment: environment, settings: settings, address: address.with(port: 0), stream: stream, ssrc: ssrc,
        canonicalName: canonicalName, sharesSockets: false, announce: announce, warn: warn)
    }
  }

  /// What the devices allow of what is wanted.
  var possibleDirection: AudioDirection {
    AudioDirection(
      sends: self.direction.sends && self.source != nil, receives: self.direction.receives && self.sink != nil)
  }

  /// Its own transport, made when it is needed first.
  func openSection(on address: SocketAddress) throws -> MediaSection {
    if let section { return section }
    let section = try self.makeSection(address)
    self.section = section
    return section
  }

  /// Ends its own transport: the line was refused or taken away, or shares the audio's. What happens to that one is no matter of
  /// the call's any more.
  func retireSection() {
    guard let section = self.section.take() else { return }
    self.retired.append(section)
    section.transport.stop()
  }

  /// A retired transport has closed.
  func forget(_ section: MediaSection) {
    self.retired.removeAll { $0 === section }
    section.transport.release()
  }

  /// There is no video any more: what was made for it has ended with it.
  func forgetDevices() { self.devices = nil }

  /// The source and display for a codec on a transport, asked for once.
  func takeDevices(
    _ codec: any VideoCodec, on section: MediaSection
  ) throws(ModuleError) -> (source: VideoSourceFactory?, sink: VideoSinkFactory?) {
    if let devices, devices.encodingName == codec.encodingName, devices.section === section {
      return (devices.source, devices.sink)
    }
    let wake = section.transport.wake
    func request(_ device: String, _ direction: ModuleKit.MediaDirection) -> VideoRequest {
      VideoRequest(
        device: device, encodingName: codec.encodingName, stream: self.stream, direction: direction, wake: wake)
    }
    var (source, sink): (VideoSourceFactory?, VideoSinkFactory?)
    if let one = self.source { source = try one.offer(request(one.device, .transmit)) }
    if let one = self.sink { sink = try one.offer(request(one.device, .receive)) }
    self.devices = (codec.encodingName, section, source, sink)
    return (source, sink)
  }

  /// A line of the peer's offer that can be taken.
  struct Choice {
    let remote: RemoteMedia
    let isBundled: Bool
  }

  /// The first video line of the peer's offer that can be taken; nil without one.
  func choose(
    from media: [RemoteMedia], of offer: SessionDescription, beside audio: RemoteMedia, usesBundle: Bool
  ) -> Choice? {
    for remote in media where remote.kind == .video && !remote.isDisabled {
      guard remote.protocolName.lowercased() == audio.protocolName.lowercased() else { continue }
      let isBundled = usesBundle && offer.bundles(remote.section, audio.section) && remote.rtcpMux && audio.rtcpMux
      if remote.section.isBundleOnly, !isBundled { continue }
      return Choice(remote: remote, isBundled: isBundled)
    }
    return nil
  }
}
