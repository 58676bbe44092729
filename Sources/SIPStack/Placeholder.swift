package struct SeededGenerator: RandomNumberGenerator { package init(seed: UInt64) {}; package mutating func next() -> UInt64 { 0 } }
