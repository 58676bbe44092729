package import ModuleKit
package import Runtime

/// One stage of a stream, admitted: how it will be made, and on which side.
package struct PlannedStage: Sendable {
  package let module: String
  package let admission: Admission
  package let make: StageFactory
}

/// What a stream's PCM goes through, decided on main before any thread is involved.
///
/// Once one stage of the receive direction is marshalled, every later stage runs on main too; in the transmit direction
/// every earlier one: a frame crosses at most once.
package struct StagePlan: Sendable {
  package let format: AudioFormat
  package let stream: StreamID
  /// Milliseconds of one frame at first; a later description may ask for longer or shorter ones.
  package let packetTime: Int
  /// The source, then the filters.
  package let transmit: [PlannedStage]
  /// The filters, then the player.
  package let receive: [PlannedStage]
  package let main: EventLoop
  /// Told, on main, when a marshalled stage could not be made.
  package let failed: @Sendable (ModuleError) -> Void

  /// This plan, with the stages of one direction from another of the same format.
  package func taking(_ direction: MediaDirection, from other: StagePlan) -> StagePlan {
    StagePlan(
      format: self.format, stream: self.stream, packetTime: self.packetTime,
      transmit: direction == .transmit ? other.transmit : self.transmit,
      receive: direction == .receive ? other.receive : self.receive, main: self.main, failed: self.failed)
  }

  /// This plan without its stages: what they had prepared, such as a file of some name, is given back.
  package var emptied: StagePlan {
    StagePlan(
      format: self.format, stream: self.stream, packetTime: self.packetTime, transmit: [], receive: [],
      main: self.main, failed: self.failed)
  }

  /// Whether a direction has no stage at all, as none has that was planned.
  package var isIncomplete: Bool { self.transmit.isEmpty || self.receive.isEmpty }

  /// The producing end; called on the executor that will own it.
  package func makeTransmitChain() throws(ModuleError) -> sending any AudioStage {
    guard let last = self.transmit.lastIndex(where: { $0.admission == .marshalled }) else {
      return try self.chain(self.transmit, .transmit)
    }
    let (onMain, here) = (Array(self.transmit[...last]), Array(self.transmit[(last + 1)...]))
    let producer = MarshalledProducer(
      on: self.main, format: self.format, sampleCount: self.format.sampleCount(milliseconds: self.packetTime),
      stream: self.stream, { () throws(ModuleError) in try self.chain(onMain, .transmit) }, failed: self.failed)
    var stages: [any AudioStage] = [producer]
    for stage in here { stages.append(try self.fitted(try stage.make(), .transmit)) }
    return StageChain(stages, format: self.format)
  }

  /// The consuming end; called on the executor that will own it.
  package func makeReceiveChain() throws(ModuleError) -> sending any AudioStage {
    guard let first = self.receive.firstIndex(where: { $0.admission == .marshalled }) else {
      return try self.chain(self.receive, .receive)
    }
    let (here, onMain) = (self.receive[..<first], Array(self.receive[first...]))
    var stages: [any AudioStage] = []
    for stage in here { stages.append(try self.fitted(try stage.make(), .receive)) }
    stages.append(
      MarshalledConsumer(
        to: self.main, format: self.format, stream: self.stream,
        { () throws(ModuleError) in try self.chain(onMain, .receive) }, failed: self.failed))
    return StageChain(stages, format: self.format)
  }

  /// Both ends for an owner that is main itself, so that nothing crosses.
  package func makeOnMain() throws(ModuleError) -> (source: any AudioStage, player: any AudioStage) {
    (try self.chain(self.transmit, .transmit), try self.chain(self.receive, .receive))
  }

  private func chain(
    _ planned: [PlannedStage], _ direction: MediaDirection
  ) throws(ModuleError) -> sending any AudioStage {
    var stages: [any AudioStage] = []
    for stage in planned { stages.append(try self.fitted(try stage.make(), direction)) }
    // One stage needs no chain about it.
    if let only = stages.first, stages.count == 1 { return only }
    return StageChain(stages, format: self.format)
  }

  private func fitted(_ stage: any AudioStage, _ direction: MediaDirection) throws(ModuleError) -> any AudioStage {
    guard stage.format != self.format else { return stage }
    switch direction {
    case .transmit: return try ResamplingSource(stage, to: self.format, packetTime: self.packetTime)
    case .receive: return try ResamplingPlayer(stage, from: self.format)
    }
  }
}
