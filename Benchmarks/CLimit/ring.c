#define _GNU_SOURCE
#include "ring.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Younger than some headers: Linux 6.12.
#ifndef IORING_ENTER_ABS_TIMER
#define IORING_ENTER_ABS_TIMER (1U << 5)
#endif

enum { GROUP = 0, BUFFERS_SIZE = RING_BUFFERS * sizeof(struct io_uring_buf) };

static int ask(const ring *r, unsigned operation, const void *argument, unsigned count) {
  return (int)syscall(__NR_io_uring_register, r->fd, operation, argument, count);
}

static void *map(size_t size, int flags, int fd, uint64_t offset) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, (off_t)offset);
  return memory == MAP_FAILED ? NULL : memory;
}

static void give(ring *r, uint16_t id) {
  struct io_uring_buf *buffer = &r->buffers->bufs[r->buffers_tail++ & (RING_BUFFERS - 1)];
  buffer->addr = (uintptr_t)(r->bytes + (size_t)id * RING_SLOT);
  buffer->len = RING_SLOT;
  buffer->bid = id;
}

static bool map_rings(ring *r, const struct io_uring_params *parameters) {
  // Of one size, so that both rings are one mapping.
  size_t submitted = parameters->sq_off.array + parameters->sq_entries * sizeof(unsigned);
  size_t completed = parameters->cq_off.cqes + parameters->cq_entries * sizeof(struct io_uring_cqe);
  r->rings_size = submitted > completed ? submitted : completed;
  r->entries_size = parameters->sq_entries * sizeof(struct io_uring_sqe);
  r->rings = map(r->rings_size, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
  r->entries = map(r->entries_size, MAP_SHARED, r->fd, IORING_OFF_SQES);
  if (!r->rings || !r->entries) return false;
  uint8_t *base = r->rings;
  r->tail = (unsigned *)(base + parameters->sq_off.tail);
  r->mask = parameters->sq_entries - 1;
  r->completed_head = (unsigned *)(base + parameters->cq_off.head);
  r->completed_tail = (unsigned *)(base + parameters->cq_off.tail);
  r->completed_mask = parameters->cq_entries - 1;
  r->completions = (struct io_uring_cqe *)(base + parameters->cq_off.cqes);
  r->submissions = r->entries;
  // Entries are submitted in the order of their places.
  unsigned *order = (unsigned *)(base + parameters->sq_off.array);
  for (unsigned i = 0; i < parameters->sq_entries; i++) order[i] = i;
  return true;
}

static bool add_buffers(ring *r) {
  r->buffers = map(BUFFERS_SIZE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  r->bytes = malloc(RING_BUFFERS * RING_SLOT);
  if (!r->buffers || !r->bytes) return false;
  struct io_uring_buf_reg group = {
      .ring_addr = (uintptr_t)r->buffers, .ring_entries = RING_BUFFERS, .bgid = GROUP};
  if (ask(r, IORING_REGISTER_PBUF_RING, &group, 1) != 0) return false;
  for (uint16_t id = 0; id < RING_BUFFERS; id++) give(r, id);
  ring_give_back(r);
  return true;
}

bool ring_open(ring *r, const int *sockets, unsigned count) {
  *r = (ring){.fd = -1};
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
      .cq_entries = RING_COMPLETIONS};
  r->fd = (int)syscall(__NR_io_uring_setup, RING_SUBMISSIONS, &parameters);
  if (r->fd < 0 || !map_rings(r, &parameters) || !add_buffers(r)) return false;
  if (ask(r, IORING_REGISTER_FILES, sockets, count) != 0) return false;
  struct io_uring_rsrc_update place = {.offset = -1U, .data = (uint64_t)r->fd};
  if (ask(r, IORING_REGISTER_RING_FDS, &place, 1) != 1) return false;
  r->index = (int)place.offset;
  return true;
}

void ring_close(ring *r) {
  if (r->fd >= 0) close(r->fd);
  if (r->rings) munmap(r->rings, r->rings_size);
  if (r->entries) munmap(r->entries, r->entries_size);
  if (r->buffers) munmap(r->buffers, BUFFERS_SIZE);
  free(r->bytes);
}

/// Enters the kernel; that time was up, or a signal came, is no error.
static bool enter(ring *r, unsigned wanted, unsigned flags, const struct io_uring_getevents_arg *argument) {
  r->calls++;
  int submitted = (int)syscall(__NR_io_uring_enter, r->index, r->pending, wanted, flags | IORING_ENTER_REGISTERED_RING,
                               argument, argument ? sizeof *argument : 0);
  if (submitted < 0) return errno == ETIME || errno == EINTR || errno == EAGAIN || errno == EBUSY;
  r->pending -= (unsigned)submitted;
  return true;
}

struct io_uring_sqe *ring_entry(ring *r, unsigned *slot) {
  if (r->pending > r->mask && (!enter(r, 0, 0, NULL) || r->pending > r->mask)) return NULL;
  unsigned tail = *r->tail;
  *slot = r->pending++;
  struct io_uring_sqe *entry = &r->submissions[tail & r->mask];
  memset(entry, 0, sizeof *entry);
  // The kernel looks at it only when it is entered, on this thread.
  __atomic_store_n(r->tail, tail + 1, __ATOMIC_RELEASE);
  return entry;
}

bool ring_wait(ring *r, unsigned wanted, const struct timespec *until) {
  if (!until) return enter(r, wanted, IORING_ENTER_GETEVENTS, NULL);
  struct __kernel_timespec time = {.tv_sec = until->tv_sec, .tv_nsec = until->tv_nsec};
  struct io_uring_getevents_arg argument = {.ts = (uintptr_t)&time};
  return enter(r, wanted, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_ABS_TIMER, &argument);
}

bool ring_receive(ring *r, unsigned socket, const struct msghdr *message, uint64_t user_data) {
  unsigned slot;
  struct io_uring_sqe *entry = ring_entry(r, &slot);
  if (!entry) return false;
  entry->opcode = IORING_OP_RECVMSG;
  entry->flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
  entry->ioprio = IORING_RECV_MULTISHOT;
  entry->fd = (int)socket;
  entry->addr = (uintptr_t)message;
  entry->len = 1;
  entry->buf_group = GROUP;
  entry->user_data = user_data;
  return true;
}

static uint16_t buffer_of(const struct io_uring_cqe *completion) {
  return (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
}

uint8_t *ring_payload(const ring *r, const struct io_uring_cqe *completion, const struct msghdr *message, int *length) {
  *length = -1;
  int head = (int)(sizeof(struct io_uring_recvmsg_out) + message->msg_namelen + message->msg_controllen);
  if (!(completion->flags & IORING_CQE_F_BUFFER) || completion->res < head) return NULL;
  *length = completion->res - head;
  return r->bytes + (size_t)buffer_of(completion) * RING_SLOT + head;
}

void ring_recycle(ring *r, const struct io_uring_cqe *completion) {
  if (completion->flags & IORING_CQE_F_BUFFER) give(r, buffer_of(completion));
}

void ring_give_back(ring *r) { __atomic_store_n(&r->buffers->tail, r->buffers_tail, __ATOMIC_RELEASE); }
