#ifndef URING_H
#define URING_H
#include <stdbool.h>
#include <stdint.h>

// Whether io_uring would carry calls for less than epoll: one thread receives datagrams and answers each, in one of several
// ways, and does nothing else.

typedef enum {
  /// A socket for each leg, as our loops have it: epoll_wait, recvmmsg from those ready, a sendto for each answer.
  URING_EPOLL,
  /// The same sockets: receives that stay armed and fill a ring of buffers; answers go with the system call that waits.
  URING_BOTH,
  /// The same, but a sendto for each answer.
  URING_RECEIVE,
  /// One socket for all legs: epoll_wait, recvmmsg and sendmmsg; as our loops have it with rtp_single_port.
  URING_SHARED_EPOLL,
  /// One socket, received and sent as in URING_BOTH.
  URING_SHARED_BOTH
} uring_way;

typedef struct {
  uring_way way;
  /// Each is sent a datagram every 20 ms, at a phase of its own.
  unsigned legs;
  /// Datagrams of one recvmmsg and sendmmsg.
  unsigned batch;
  /// False: the thread wakes up as soon as something has come; true: about every millisecond, for all that has come.
  bool is_paced;
  /// Milliseconds.
  unsigned warm_up, duration;
} uring_options;

typedef struct {
  /// An errno where something could not be had or failed; then nothing else counts.
  int error;
  /// Datagrams of the whole run: sent to the legs, received by them, answered, and answers that came. Where they are not
  /// all the same, figures flatter.
  uint64_t sent, received, answered, came;
  /// What follows is that of the time after the warm-up. Datagrams that the thread received and answered.
  uint64_t packets;
  /// The thread's CPU time, nanoseconds; the kernel tells user and system time apart by samples, 250 in a second.
  uint64_t cpu, user, system;
  /// System calls of the thread, and how often it waited.
  uint64_t calls, turns;
  /// CPU time of the thread that sends to the legs and takes the answers, nanoseconds, and what it sent: at its cost the
  /// kernel puts packets into the legs' sockets and wakes up the other thread.
  uint64_t feeding, fed;
  /// CPU time of the whole run: the thread's, and what all others of the process but these two have used, such as
  /// io_uring's workers.
  uint64_t whole;
  int64_t elsewhere;
} uring_figures;

/// Runs one way for so long; the caller's thread sends and takes the answers, another receives and answers.
uring_figures uring_measure(uring_options options);
#endif
