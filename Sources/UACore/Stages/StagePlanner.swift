package import ModuleKit
package import Runtime

/// Plans the stages of streams, and keeps the stages that streams share; lives on main.
package final class StagePlanner {
  private struct SharedKey: Hashable {
    let module: String
    let device: String
  }

  private let registry: ModuleRegistry
  private let mode: RxMode
  private let policy: AdmissionPolicy
  private let main: EventLoop
  private var shared: [SharedKey: any AudioStage & Sendable] = [:]

  package init(registry: ModuleRegistry, mode: RxMode, policy: AdmissionPolicy, main: EventLoop) {
    self.registry = registry
    self.mode = mode
    self.policy = policy
    self.main = main
  }

  /// Admits and prepares every stage of a stream; without a device there is silence one way and nothing the other.
  ///
  /// - Parameter isFiltered: whether the modules' filters stand between the two.
  /// - Throws: `AdmissionError` where the mode and policy leave nothing safe, `ModuleError` where a driver refuses.
  package func plan(
    source: AudioDevice?, player: AudioDevice?, format: AudioFormat, packetTime: Int, stream: StreamID,
    isFiltered: Bool = true, failed: @escaping @Sendable (ModuleError) -> Void
  ) throws -> StagePlan {
    let none = ModuleRegistry.Driver(module: "none", offer: NullStage.offer)
    let sourceDriver = try source.map { try self.registry.source($0.driver) } ?? none
    let playerDriver = try player.map { try self.registry.player($0.driver) } ?? none
    func request(_ device: String, _ direction: MediaDirection) -> AudioRequest {
      AudioRequest(device: device, format: format, stream: stream, direction: direction)
    }
    var transmit = [try self.admit(sourceDriver, request(source?.device ?? "", .transmit))]
    var receive: [PlannedStage] = []
    for filter in isFiltered ? self.registry.filters : [] {
      transmit.append(try self.admit(filter, request("", .transmit)))
      receive.append(try self.admit(filter, request("", .receive)))
    }
    receive.append(try self.admit(playerDriver, request(player?.device ?? "", .receive)))
    return StagePlan(
      format: format, stream: stream, packetTime: packetTime, transmit: transmit, receive: receive, main: self.main,
      failed: failed)
  }

  private func admit(_ driver: ModuleRegistry.Driver, _ request: AudioRequest) throws -> PlannedStage {
    let admission = try driver.offer.safety.admission(of: driver.module, in: self.mode, policy: self.policy)
    let make: StageFactory
    switch driver.offer {
    case .mainOnly(let prepare), .confined(let prepare): make = try prepare(request)
    case .concurrent(let prepare):
      let stage = try prepare(request)
      make = { () throws(ModuleError) in stage }
    case .lockable(let prepare):
      let stage = try self.sharedStage(driver.module, request, admission, prepare)
      make = { () throws(ModuleError) in stage }
    }
    return PlannedStage(module: driver.module, admission: admission, make: make)
  }

  private func sharedStage(
    _ module: String, _ request: AudioRequest, _ admission: Admission,
    _ prepare: @Sendable (AudioRequest) throws(ModuleError) -> StageFactory
  ) throws(ModuleError) -> any AudioStage & Sendable {
    let key = SharedKey(module: module, device: request.device)
    if let stage = self.shared[key] { return stage }
    let factory = try prepare(request)
    let stage: any AudioStage & Sendable
    switch admission {
    case .locked, .marshalled: stage = try LockedStage(factory)
    case .asIs: stage = try MainBoundStage(factory, on: self.main)
    }
    self.shared[key] = stage
    return stage
  }
}
