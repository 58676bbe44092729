internal import Glibc

/// Key material: one owner, wiped when that owner lets go, never printed.
@safe public struct SecretBytes: ~Copyable, @unchecked Sendable {  // the memory is reachable through this value only
  private let memory: UnsafeMutableRawBufferPointer

  /// Zeros, for a caller to fill through `withMutableBytes`.
  public init(count: Int) {
    unsafe self.memory = .allocate(byteCount: max(count, 1), alignment: 16)
    unsafe self.memory.initializeMemory(as: UInt8.self, repeating: 0)
    self.count = count
  }

  /// Copies `bytes`; whoever owns those wipes them.
  public init(_ bytes: RawSpan) {
    self.init(count: bytes.byteCount)
    unsafe bytes.withUnsafeBytes { unsafe self.memory.copyMemory(from: $0) }
  }

  deinit {
    if let start = unsafe self.memory.baseAddress { unsafe explicit_bzero(start, self.memory.count) }
    unsafe self.memory.deallocate()
  }

  /// Length in bytes.
  public let count: Int

  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: self.memory[0..<self.count]))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Calls `body` with the secret; it must not keep the pointer.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeRawBufferPointer(rebasing: self.memory[0..<self.count]))
  }

  /// Calls `body` with the secret, to be filled or changed.
  public mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeMutableRawBufferPointer(rebasing: self.memory[0..<self.count]))
  }

  /// A second owner of the same secret; each wipes its own copy.
  public func duplicate() -> SecretBytes { SecretBytes(self.bytes) }
}
