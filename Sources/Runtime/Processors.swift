internal import Glibc

/// Processors that this process may run on, at least one.
package func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
