#ifndef CREPLAY_H
#define CREPLAY_H
#include <stdint.h>

/// From now on, on this thread: OpenSSL draws its random bytes from `seed`, `time` stands at `seconds` since 1970, and
/// `gettimeofday` starts there and jumps by `step` microseconds each time that it is read.
void creplay_begin(uint64_t seed, int64_t seconds, int64_t step);
/// Gives this thread its own randomness and clock back.
void creplay_end(void);
/// Random bytes drawn, and clocks read, on this thread since `creplay_begin`.
uint64_t creplay_random_bytes(void);
uint64_t creplay_clock_reads(void);
#endif
