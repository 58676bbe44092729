#ifndef RING_H
#define RING_H
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

// io_uring by its system calls, without liburing: one ring, one group of buffers that the kernel fills. Its work is done
// by the thread that made it, in the calls that submit and wait (DEFER_TASKRUN).

enum { RING_SUBMISSIONS = 512, RING_COMPLETIONS = 2048, RING_BUFFERS = 512, RING_SLOT = 2048 };

typedef struct {
  int fd;
  /// Where the thread's table of rings has it, so that no call looks up the descriptor.
  int index;
  void *rings, *entries;
  size_t rings_size, entries_size;
  unsigned *tail, *completed_head, *completed_tail;
  unsigned mask, completed_mask;
  struct io_uring_sqe *submissions;
  struct io_uring_cqe *completions;
  /// Filled and not submitted yet.
  unsigned pending;
  struct io_uring_buf_ring *buffers;
  uint16_t buffers_tail;
  uint8_t *bytes;
  /// System calls that wait or submit.
  uint64_t calls;
} ring;

/// For the thread that calls and no other; false with errno.
bool ring_open(ring *r, const int *sockets, unsigned count);
void ring_close(ring *r);
/// An empty entry, the `slot`th of those that one call submits; where there is none, what is pending is submitted first.
/// NULL with errno.
struct io_uring_sqe *ring_entry(ring *r, unsigned *slot);
/// Submits what is pending and waits for `wanted` completions, or until a time of CLOCK_MONOTONIC; false with errno.
bool ring_wait(ring *r, unsigned wanted, const struct timespec *until);
/// A receive from a socket, by its place, that stays armed. `message` says how much of the source to keep.
bool ring_receive(ring *r, unsigned socket, const struct msghdr *message, uint64_t user_data);
/// The bytes of a datagram that a completion brought; its length, or -1 where it brought none.
uint8_t *ring_payload(const ring *r, const struct io_uring_cqe *completion, const struct msghdr *message, int *length);
/// The kernel may fill the completion's buffer again, once `ring_give_back` has been called.
void ring_recycle(ring *r, const struct io_uring_cqe *completion);
void ring_give_back(ring *r);
#endif
