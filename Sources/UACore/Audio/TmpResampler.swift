package import ModuleKit
package final class Resampler {
  package init(from: AudioFormat, to: AudioFormat, quality: Int = 8) throws(ModuleError) {}
  package func process(_ input: Span<Int16>, into output: inout MutableSpan<Int16>) -> (consumed: Int, produced: Int) { (0, 0) }
}
