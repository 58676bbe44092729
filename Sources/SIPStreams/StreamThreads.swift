package import NIOCore
internal import NIOPosix

/// The threads that own the connections of every agent of this process; they start with the first and stay.
package enum StreamThreads {
  package static let group: any EventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 2)
}
