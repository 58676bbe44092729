#ifndef CLIMIT_H
#define CLIMIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The limit: what a C program needs for the same calls, with the same system calls, libsrtp2 calls and codec, and nothing
// else: no jitter buffer, no statistics, no RTCP, no signalling, no checks beyond the cipher's own.

typedef enum {
  CLIMIT_PLAIN,
  CLIMIT_AES_CM_128_HMAC_SHA1_80,
  CLIMIT_AES_CM_128_HMAC_SHA1_32,
  CLIMIT_AES_256_CM_HMAC_SHA1_80,
  CLIMIT_AEAD_AES_128_GCM,
  CLIMIT_AEAD_AES_256_GCM
} climit_profile;

/// What libopus's encoder is told, each as its request of that name wants it.
typedef struct {
  int application, bitrate, vbr, inband_fec, dtx, max_bandwidth, complexity, packet_loss;
} climit_opus;

typedef struct {
  unsigned legs;
  /// Each has an epoll, a timer, a batch, and its share of the legs.
  unsigned threads;
  /// Datagrams of one recvmmsg.
  unsigned batch;
  climit_profile profile;
  /// Whether libsrtp2 is called; else the C part of our own transform, which calls libcrypto's ciphers and nothing else.
  bool is_libsrtp2;
  /// Master key and salt, 64 bytes at most.
  const uint8_t *key;
  size_t key_length;
  /// False: the legs receive, decode, and hand on a frame every 20 ms; true: they encode and send one every 20 ms.
  bool sends;
  /// Where they send to, on 127.0.0.1.
  uint16_t target;
  /// Opus at 48 kHz, mono, in packets of 20 ms; else G.711.
  bool is_opus;
  climit_opus opus;
} climit_options;

typedef struct climit climit;

/// NULL when a thread, a socket or a codec can't be had. No leg does anything until it has its contexts.
climit *climit_start(climit_options options);
/// Makes a leg's contexts, both ways; false when they can't be had. The caller has started libsrtp2, which can be started
/// but once, where it is called. What libsrtp2 calls, Debian's NSS, finds the newest first: so the two programs' are made by turns.
bool climit_add_contexts(climit *limit, unsigned leg);
/// The port, on 127.0.0.1, at which a leg receives.
uint16_t climit_port(const climit *limit, unsigned leg);
/// CPU time that all threads together have used, nanoseconds.
uint64_t climit_cpu(const climit *limit);
/// Allocations of all threads so far, libsrtp2's and others.
void climit_allocations(const climit *limit, uint64_t *own, uint64_t *srtp);
/// Ends the threads; then the packets handled, and samples decoded that were not silence.
void climit_stop(climit *limit, uint64_t *packets, uint64_t *heard);

/// Keeps all processors from resting, by threads that run only when nobody else wants to: the processor of a virtual machine
/// that rests is given to others, and comes back with their data in its caches. False where the threads can't be had.
bool climit_stay_awake(void);
/// Lets them rest again.
void climit_rest(void);

/// The processor of one of so many threads: the last one for a single thread, else one after the other.
unsigned climit_place(unsigned thread, unsigned threads);
/// Has the calling thread run on that processor only, counted round; -1 for all of them. Both programs' threads are pinned
/// alike: who shares a processor with the sender finds packets in its cache, and each should as often as the other.
void climit_pin(int place);

/// Sends the same datagram to many ports of 127.0.0.1; how many were taken.
unsigned climit_spread(int fd, const void *bytes, size_t count, const uint16_t *ports, unsigned port_count);
/// A UDP socket on 127.0.0.1 with a large buffer, or -1.
int climit_socket(uint16_t *port);
void climit_close(int fd);
/// Datagrams that have arrived, which are forgotten; never blocks. For one thread.
unsigned climit_drain(int fd);

/// DTLS 1.2 handshakes as the module dtls_srtp has them, `count` on each thread: both ends in memory, each with a self-signed
/// ECDSA P-256 certificate, OpenSSL's curves and use_srtp, and nothing else: no cookie, no fingerprint, no export of keys, no
/// socket. CPU time that all threads together have used, nanoseconds; 0 when a handshake failed.
uint64_t climit_handshakes(unsigned threads, unsigned count);
#endif
