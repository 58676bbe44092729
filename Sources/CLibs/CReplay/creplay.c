#define OPENSSL_SUPPRESS_DEPRECATED
#include "creplay.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

// One thread replays while others don't: everything is the thread's own.
static _Thread_local struct {
  int is_active;
  uint64_t state, drawn, reads;
  int64_t seconds, microseconds, step;
} replay;

// SplitMix64.
static uint64_t next_word(void) {
  uint64_t value = replay.state += 0x9E3779B97F4A7C15u;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

static int draw(unsigned char *bytes, int count) {
  if (!replay.is_active) return RAND_OpenSSL()->bytes(bytes, count);
  replay.drawn += (uint64_t)count;
  for (int offset = 0; offset < count; offset += 8) {
    uint64_t word = next_word();
    for (int place = offset; place < count && place < offset + 8; place++, word >>= 8) bytes[place] = (unsigned char)word;
  }
  return 1;
}

static int status(void) { return 1; }

static void install(void) {
  static RAND_METHOD method = {.bytes = draw, .pseudorand = draw, .status = status};
  RAND_set_rand_method(&method);
}

void creplay_begin(uint64_t seed, int64_t seconds, int64_t step) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  replay.is_active = 1;
  replay.state = seed;
  replay.drawn = replay.reads = 0;
  replay.seconds = seconds;
  replay.microseconds = 0;
  replay.step = step;
}

void creplay_end(void) { replay.is_active = 0; }
uint64_t creplay_random_bytes(void) { return replay.drawn; }
uint64_t creplay_clock_reads(void) { return replay.reads; }

// The program's own symbols come before the C library's, in libcrypto and libssl too.

time_t time(time_t *result) {
  struct timespec now;
  if (replay.is_active) {
    replay.reads++;
    now.tv_sec = replay.seconds;
  } else {
    clock_gettime(CLOCK_REALTIME, &now);
  }
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
  (void)zone;
  if (replay.is_active) {
    replay.reads++;
    replay.microseconds += replay.step;
    result->tv_sec = replay.seconds + replay.microseconds / 1000000;
    result->tv_usec = replay.microseconds % 1000000;
    return 0;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  result->tv_sec = now.tv_sec;
  result->tv_usec = now.tv_nsec / 1000;
  return 0;
}
