#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/// What one thread has allocated since it began: calls that returned memory, of any of malloc's relatives.
typedef struct {
  /// By everything but libsrtp2.
  uint64_t own;
  /// Within calls of libsrtp2, whose transforms allocate as Debian builds it (on NSS).
  uint64_t srtp;
} callocations;

/// The calling thread's counters. They stay readable, by any thread, while that thread lives.
const callocations *callocations_here(void);
/// A copy of counters that another thread may be changing.
callocations callocations_read(const callocations *counters);
/// The clock of the calling thread's CPU time, readable by any thread while that thread lives.
clockid_t callocations_cpu_clock(void);
/// Allocates and frees once by each way that is counted; how many ways there are.
unsigned callocations_plant(void);
/// Gives free memory back to the system, so that what is resident is what is in use.
void callocations_trim(void);
#endif
