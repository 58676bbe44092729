#define _GNU_SOURCE
#include "uring.h"
#include "climit.h"
#include "ring.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// PCMU under SRTP: a header, 160 bytes and a tag of 10.
enum { PAYLOAD = 182, SLOT = 2048, PERIOD = 20000000, EVENTS = 64, SPREAD = 64 };
// Of both threads' wake-ups. Not a whole millisecond: the kernel samples user and system time every four of them, and
// would see a thread that keeps step with it always at the same point of its work.
enum { GRAIN = 1037000 };
static const uint64_t ANSWER = UINT64_MAX;

enum { WARMING_UP, MEASURING, FINISHING, ENDED };

typedef struct {
  uint64_t cpu, user, system, packets, calls, turns;
} reading;

typedef struct {
  const uring_options *options;
  pthread_t thread;
  int cpu;
  int *sockets;
  uint16_t *ports;
  unsigned count;
  struct sockaddr_in sink;
  int phase, is_ready, error;
  uint64_t received, answered, calls, turns, whole;
  reading first, last;
  // By epoll.
  int epoll;
  uint8_t *bytes;
  struct iovec *vectors, *answer_vectors;
  struct mmsghdr *headers, *answer_headers;
  struct sockaddr_in *sources;
  // By io_uring.
  ring ring;
  struct msghdr message;
  // Room for what is sent by one system call.
  uint8_t *answers;
  uint16_t sequence;
} worker;

static bool is_shared(uring_way way) { return way == URING_SHARED_EPOLL || way == URING_SHARED_BOTH; }
static bool has_ring(uring_way way) { return way != URING_EPOLL && way != URING_SHARED_EPOLL; }

static uint64_t time_of(clockid_t clock) {
  struct timespec time = {0};
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct timespec instant(uint64_t at) {
  return (struct timespec){(time_t)(at / 1000000000), (long)(at % 1000000000)};
}

static void sleep_until(uint64_t at) {
  struct timespec time = instant(at);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

/// The next wake-up of the thread that is measured: half-way between those of the thread that sends.
static uint64_t next_turn(void) {
  return ((time_of(CLOCK_MONOTONIC) - GRAIN / 2) / GRAIN + 1) * GRAIN + GRAIN / 2;
}

static uint64_t microseconds(struct timeval time) { return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec; }

static reading read_worker(const worker *w) {
  struct rusage usage = {0};
  getrusage(RUSAGE_THREAD, &usage);
  return (reading){.cpu = time_of(CLOCK_THREAD_CPUTIME_ID), .user = microseconds(usage.ru_utime) * 1000,
                   .system = microseconds(usage.ru_stime) * 1000, .packets = w->received,
                   .calls = w->calls + w->ring.calls, .turns = w->turns};
}

/// What answers a datagram; the same work in every way.
static void make_answer(worker *w, const uint8_t *bytes, uint8_t *answer) {
  memcpy(answer, bytes, PAYLOAD);
  w->sequence++;
  answer[2] = (uint8_t)(w->sequence >> 8);
  answer[3] = (uint8_t)w->sequence;
}

static void answer_at_once(worker *w, unsigned socket, const uint8_t *bytes) {
  uint8_t answer[PAYLOAD];
  make_answer(w, bytes, answer);
  w->calls++;
  if (sendto(w->sockets[socket], answer, PAYLOAD, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&w->sink,
             sizeof w->sink) == PAYLOAD)
    w->answered++;
}

// MARK: By epoll

static bool open_epoll(worker *w) {
  unsigned batch = w->options->batch;
  w->bytes = malloc(batch * SLOT);
  w->vectors = calloc(batch, sizeof *w->vectors);
  w->headers = calloc(batch, sizeof *w->headers);
  w->sources = calloc(batch, sizeof *w->sources);
  w->answer_vectors = calloc(batch, sizeof *w->answer_vectors);
  w->answer_headers = calloc(batch, sizeof *w->answer_headers);
  for (unsigned i = 0; i < batch; i++) {
    w->vectors[i] = (struct iovec){w->bytes + i * SLOT, SLOT};
    w->headers[i].msg_hdr = (struct msghdr){.msg_name = &w->sources[i], .msg_iov = &w->vectors[i], .msg_iovlen = 1};
    w->answer_vectors[i] = (struct iovec){w->answers + i * PAYLOAD, PAYLOAD};
    w->answer_headers[i].msg_hdr = (struct msghdr){
        .msg_name = &w->sink, .msg_namelen = sizeof w->sink, .msg_iov = &w->answer_vectors[i], .msg_iovlen = 1};
  }
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  for (unsigned i = 0; i < w->count && w->epoll >= 0; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->sockets[i], &event) != 0) return false;
  }
  return w->epoll >= 0;
}

static void answer_batch(worker *w, unsigned socket, unsigned count) {
  for (unsigned first = 0; first < count;) {
    w->calls++;
    int sent = sendmmsg(w->sockets[socket], w->answer_headers + first, count - first, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0) return;
    first += (unsigned)sent;
    w->answered += (unsigned)sent;
  }
}

static void serve(worker *w, unsigned socket) {
  unsigned batch = w->options->batch;
  int count;
  do {
    for (unsigned i = 0; i < batch; i++) w->headers[i].msg_hdr.msg_namelen = sizeof *w->sources;
    w->calls++;
    count = recvmmsg(w->sockets[socket], w->headers, batch, MSG_DONTWAIT, NULL);
    unsigned answers = 0;
    for (int i = 0; i < count; i++) {
      if (w->headers[i].msg_len != PAYLOAD) continue;
      w->received++;
      if (is_shared(w->options->way)) make_answer(w, w->bytes + i * SLOT, w->answers + answers++ * PAYLOAD);
      else answer_at_once(w, socket, w->bytes + i * SLOT);
    }
    if (answers) answer_batch(w, socket, answers);
  } while (count == (int)batch);
}

static void turn_epoll(worker *w) {
  bool is_paced = w->options->is_paced;
  if (is_paced) {
    w->calls++;
    sleep_until(next_turn());
  }
  struct epoll_event events[EVENTS];
  int count;
  do {
    w->calls++;
    count = epoll_wait(w->epoll, events, EVENTS, is_paced ? 0 : -1);
    for (int i = 0; i < count; i++) serve(w, events[i].data.u32);
    // All that has come, as by a ring; otherwise the next turn has the rest.
  } while (is_paced && count == EVENTS);
}

// MARK: By io_uring

static bool open_ring(worker *w) {
  if (!ring_open(&w->ring, w->sockets, w->count)) return false;
  w->message = (struct msghdr){.msg_namelen = sizeof(struct sockaddr_in)};
  for (unsigned i = 0; i < w->count; i++)
    if (!ring_receive(&w->ring, i, &w->message, i)) return false;
  return true;
}

/// Never left to a worker or to a poll: what can't be sent at once fails, as it does by sendto.
static bool submit_answer(worker *w, unsigned socket, const uint8_t *bytes) {
  unsigned slot;
  struct io_uring_sqe *entry = ring_entry(&w->ring, &slot);
  if (!entry) return false;
  uint8_t *answer = w->answers + slot * PAYLOAD;
  make_answer(w, bytes, answer);
  entry->opcode = IORING_OP_SEND;
  entry->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
  entry->fd = (int)socket;
  entry->addr = (uintptr_t)answer;
  entry->len = PAYLOAD;
  entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  entry->addr2 = (uintptr_t)&w->sink;
  entry->addr_len = sizeof w->sink;
  entry->user_data = ANSWER;
  // Taken back where a completion tells of a failure.
  w->answered++;
  return true;
}

static bool complete(worker *w, const struct io_uring_cqe *completion) {
  if (completion->user_data == ANSWER) {
    w->answered--;
    return true;
  }
  unsigned socket = (unsigned)completion->user_data;
  if (completion->res < 0 && completion->res != -ENOBUFS) {
    errno = -completion->res;
    return false;
  }
  int length;
  const uint8_t *bytes = ring_payload(&w->ring, completion, &w->message, &length);
  bool is_done = true;
  if (length == PAYLOAD) {
    w->received++;
    if (w->options->way == URING_RECEIVE) answer_at_once(w, socket, bytes);
    else is_done = submit_answer(w, socket, bytes);
  }
  ring_recycle(&w->ring, completion);
  // It ends where the kernel had no buffers left; the datagrams stay in the socket.
  if (!is_done || completion->flags & IORING_CQE_F_MORE) return is_done;
  return ring_receive(&w->ring, socket, &w->message, socket);
}

static bool turn_ring(worker *w) {
  ring *r = &w->ring;
  if (w->options->is_paced) {
    // More than ever come: the thread sleeps until time is up, and no packet wakes it.
    struct timespec until = instant(next_turn());
    if (!ring_wait(r, RING_COMPLETIONS, &until)) return false;
  } else if (!ring_wait(r, 1, NULL)) {
    return false;
  }
  unsigned head = *r->completed_head;
  while (head != __atomic_load_n(r->completed_tail, __ATOMIC_ACQUIRE))
    if (!complete(w, &r->completions[head++ & r->completed_mask])) return false;
  ring_give_back(r);
  __atomic_store_n(r->completed_head, head, __ATOMIC_RELEASE);
  return true;
}

// MARK: The thread that is measured

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static void *run(void *argument) {
  worker *w = argument;
  bool by_ring = has_ring(w->options->way);
  pin(w->cpu);
  w->answers = calloc(RING_SUBMISSIONS > w->options->batch ? RING_SUBMISSIONS : w->options->batch, PAYLOAD);
  if (!(by_ring ? open_ring(w) : open_epoll(w))) w->error = errno;
  __atomic_store_n(&w->is_ready, 1, __ATOMIC_RELEASE);
  int seen = WARMING_UP;
  while (!w->error && seen != ENDED) {
    int phase = __atomic_load_n(&w->phase, __ATOMIC_ACQUIRE);
    if (seen < MEASURING && phase >= MEASURING) w->first = read_worker(w);
    if (seen < FINISHING && phase >= FINISHING) w->last = read_worker(w);
    seen = phase;
    if (phase == ENDED) break;
    w->turns++;
    if (!by_ring) turn_epoll(w);
    else if (!turn_ring(w)) w->error = errno;
  }
  if (by_ring) ring_close(&w->ring);
  else if (w->epoll >= 0) close(w->epoll);
  free(w->answers);
  free(w->bytes);
  free(w->vectors);
  free(w->headers);
  free(w->sources);
  free(w->answer_vectors);
  free(w->answer_headers);
  w->whole = time_of(CLOCK_THREAD_CPUTIME_ID);
  return NULL;
}

// MARK: The thread that sends to it

typedef struct {
  int fd, sink;
  uint64_t sent, came;
} feeder;

static void send_due(feeder *f, const worker *w, unsigned first, unsigned count) {
  uint8_t packet[PAYLOAD] = {0x80};
  struct iovec vector = {packet, PAYLOAD};
  struct sockaddr_in targets[SPREAD];
  struct mmsghdr headers[SPREAD] = {0};
  for (unsigned i = 0; i < count; i++) {
    unsigned leg = (first + i) % w->options->legs;
    targets[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                      .sin_port = htons(w->ports[leg % w->count])};
    headers[i].msg_hdr = (struct msghdr){
        .msg_name = &targets[i], .msg_namelen = sizeof targets[i], .msg_iov = &vector, .msg_iovlen = 1};
  }
  int sent = sendmmsg(f->fd, headers, count, MSG_DONTWAIT);
  if (sent > 0) f->sent += (unsigned)sent;
}

/// Every leg is sent a datagram each 20 ms, the first of them one after the other in the first 20 ms.
static void feed(feeder *f, worker *w, uring_figures *figures) {
  unsigned legs = w->options->legs;
  uint64_t start = (time_of(CLOCK_MONOTONIC) / GRAIN + 2) * GRAIN, number = 0, feeding = 0, fed = 0;
  uint64_t measured = start + w->options->warm_up * 1000000ULL, end = measured + w->options->duration * 1000000ULL;
  bool is_measured = false;
  for (uint64_t at = start; at < end; at += GRAIN) {
    sleep_until(at);
    if (!is_measured && at >= measured) {
      is_measured = true;
      feeding = time_of(CLOCK_THREAD_CPUTIME_ID);
      fed = f->sent;
      __atomic_store_n(&w->phase, MEASURING, __ATOMIC_RELEASE);
    }
    uint64_t due = (at - start) * legs / PERIOD + 1;
    while (number < due) {
      unsigned count = due - number < SPREAD ? (unsigned)(due - number) : SPREAD;
      send_due(f, w, (unsigned)(number % legs), count);
      number += count;
    }
    f->came += climit_drain(f->sink);
  }
  figures->feeding = time_of(CLOCK_THREAD_CPUTIME_ID) - feeding;
  figures->fed = f->sent - fed;
  __atomic_store_n(&w->phase, FINISHING, __ATOMIC_RELEASE);
  // What is on its way arrives, and is answered.
  for (int i = 0; i < 1000 && f->came < f->sent && !__atomic_load_n(&w->error, __ATOMIC_RELAXED); i++) {
    usleep(1000);
    f->came += climit_drain(f->sink);
  }
}

/// Wakes the thread with a datagram that is no packet.
static void end(feeder *f, worker *w) {
  __atomic_store_n(&w->phase, ENDED, __ATOMIC_RELEASE);
  climit_spread(f->fd, "", 1, w->ports, 1);
  pthread_join(w->thread, NULL);
  f->came += climit_drain(f->sink);
}

static bool open_sockets(feeder *f, worker *w) {
  uint16_t port;
  f->fd = climit_socket(&port);
  f->sink = climit_socket(&port);
  w->sink = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  w->sockets = calloc(w->count, sizeof *w->sockets);
  w->ports = calloc(w->count, sizeof *w->ports);
  bool is_open = f->fd >= 0 && f->sink >= 0;
  for (unsigned i = 0; i < w->count; i++) {
    w->sockets[i] = is_open ? climit_socket(&w->ports[i]) : -1;
    is_open = is_open && w->sockets[i] >= 0;
  }
  return is_open;
}

static void close_sockets(feeder *f, worker *w) {
  for (unsigned i = 0; i < w->count; i++)
    if (w->sockets[i] >= 0) close(w->sockets[i]);
  if (f->fd >= 0) close(f->fd);
  if (f->sink >= 0) close(f->sink);
  free(w->sockets);
  free(w->ports);
}

/// The first and the last processor that the process may have: where the threads run is then the same in every way.
static void choose(const cpu_set_t *all, int *first, int *last) {
  *first = -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, all)) continue;
    if (*first < 0) *first = cpu;
    *last = cpu;
  }
}

static uring_figures figures_of(const worker *w, const feeder *f, uring_figures figures) {
  figures.sent = f->sent;
  figures.received = w->received;
  figures.answered = w->answered;
  figures.came = f->came;
  figures.packets = w->last.packets - w->first.packets;
  figures.cpu = w->last.cpu - w->first.cpu;
  figures.user = w->last.user - w->first.user;
  figures.system = w->last.system - w->first.system;
  figures.calls = w->last.calls - w->first.calls;
  figures.turns = w->last.turns - w->first.turns;
  figures.whole = w->whole;
  return figures;
}

uring_figures uring_measure(uring_options options) {
  uring_figures figures = {0};
  cpu_set_t all;
  int first = 0;
  worker w = {.options = &options, .epoll = -1, .ring.fd = -1, .count = is_shared(options.way) ? 1 : options.legs};
  feeder f = {0};
  sched_getaffinity(0, sizeof all, &all);
  choose(&all, &first, &w.cpu);
  if (!open_sockets(&f, &w)) figures.error = errno ? errno : EMFILE;
  uint64_t process = time_of(CLOCK_PROCESS_CPUTIME_ID), own = time_of(CLOCK_THREAD_CPUTIME_ID);
  if (!figures.error) figures.error = pthread_create(&w.thread, NULL, run, &w);
  if (!figures.error) {
    pin(first);
    while (!__atomic_load_n(&w.is_ready, __ATOMIC_ACQUIRE)) usleep(1000);
    if (!w.error) feed(&f, &w, &figures);
    end(&f, &w);
    figures.error = w.error;
    own = time_of(CLOCK_THREAD_CPUTIME_ID) - own;
    process = time_of(CLOCK_PROCESS_CPUTIME_ID) - process;
    figures.elsewhere = (int64_t)(process - own - w.whole);
    sched_setaffinity(0, sizeof all, &all);
  }
  close_sockets(&f, &w);
  return figures_of(&w, &f, figures);
}
