#define _GNU_SOURCE
#include "climit.h"
#include "callocations.h"
#include "ctransform.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <opus.h>
#include <pthread.h>
#include <sched.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { FRAME = 160, OPUS_FRAME = 960, OPUS_TYPE = 111, HEADER = 12, SLOT = 2048, PERIOD = 20000000 };

typedef struct {
  int fd;
  uint16_t port;
  /// One of the two under keys, and the other way's: a leg of a call has both.
  srtp_t session, unused_session;
  ctransform *keys, *unused_keys;
  size_t tag;
  int has_contexts;
  OpusEncoder *encoder;
  OpusDecoder *decoder;
  uint64_t due;
  uint16_t sequence;
  uint32_t timestamp;
  uint64_t packets, heard;
  int16_t frame[OPUS_FRAME];
} leg;

typedef struct {
  pthread_t thread;
  climit *limit;
  unsigned first, count;
  int epoll, timer;
  clockid_t clock;
  const callocations *allocations;
  int64_t sum;
} worker;

struct climit {
  climit_options options;
  uint8_t key[64];
  unsigned thread_count;
  worker *workers;
  leg *legs;
  struct sockaddr_in target;
  int ready, stopping;
};

/// Calls are given to the threads in turn, as a pool gives them to its workers.
static leg *leg_of(worker *w, unsigned i) { return &w->limit->legs[w->first + i * w->limit->options.threads]; }

static int16_t decoded[256];
static int16_t tone[OPUS_FRAME];

static void make_tables(void) {
  for (int byte = 0; byte < 256; byte++) {
    int code = ~byte & 0xFF, magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    decoded[byte] = (int16_t)(code & 0x80 ? -magnitude : magnitude);
  }
  for (int i = 0; i < OPUS_FRAME; i++) tone[i] = (int16_t)((i * 397) % 16000 - 8000);
}

static inline uint8_t mu_law(int16_t sample) {
  int value = sample >> 2, magnitude = (value < 0 ? -value : value);
  if (magnitude > 8159) magnitude = 8159;
  magnitude += 33;
  int chord = 26 - __builtin_clz((unsigned)magnitude);
  if (chord > 7) chord = 7;
  int code = magnitude > 8191 ? 0x7F : chord << 4 | ((magnitude >> (chord + 1)) & 15);
  return (uint8_t)(code ^ (value < 0 ? 0x7F : 0xFF));
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// At whole milliseconds, so that what is due within the same one shares a wake-up.
static void arm(worker *w, uint64_t at) {
  at = (at + 999999) / 1000000 * 1000000;
  struct itimerspec spec = {.it_value = {(time_t)(at / 1000000000), (long)(at % 1000000000)}};
  timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static inline uint32_t get32(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, 4);
  return ntohl(value);
}

/// So few packets come that their sequence numbers are their indices.
static ctransform_packet parts(const leg *l, uint8_t *bytes, int payload) {
  return (ctransform_packet){.bytes = bytes, .header = HEADER, .payload = (size_t)payload, .tag = l->tag,
                             .ssrc = get32(bytes + 8), .index = (uint64_t)bytes[2] << 8 | bytes[3]};
}

static bool unprotect(leg *l, uint8_t *bytes, int *length) {
  if (l->session) return srtp_unprotect(l->session, bytes, length) == srtp_err_status_ok;
  if (!l->keys) return true;
  int payload = *length - HEADER - (int)l->tag;
  if (payload < 0) return false;
  ctransform_packet packet = parts(l, bytes, payload);
  *length = HEADER + payload;
  return ctransform_open(l->keys, &packet) == 1;
}

static bool protect(leg *l, uint8_t *bytes, int *length) {
  if (l->session) return srtp_protect(l->session, bytes, length) == srtp_err_status_ok;
  if (!l->keys) return true;
  ctransform_packet packet = parts(l, bytes, *length - HEADER);
  *length += (int)l->tag;
  return ctransform_seal(l->keys, &packet);
}

static void receive(leg *l, struct mmsghdr *headers, unsigned batch) {
  for (unsigned i = 0; i < batch; i++) headers[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_storage);
  int count = recvmmsg(l->fd, headers, batch, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    uint8_t *bytes = headers[i].msg_hdr.msg_iov->iov_base;
    int length = (int)headers[i].msg_len;
    if (!unprotect(l, bytes, &length)) continue;
    if (l->decoder) {
      if (opus_decode(l->decoder, bytes + HEADER, length - HEADER, l->frame, OPUS_FRAME, 0) != OPUS_FRAME) continue;
    } else {
      if (length < HEADER + FRAME) continue;
      for (int s = 0; s < FRAME; s++) l->frame[s] = decoded[bytes[HEADER + s]];
    }
    l->packets++;
  }
}

/// A frame has come: the sink looks at each sample.
static void hand_on(worker *w, leg *l) {
  uint64_t heard = 0;
  int64_t sum = 0;
  int count = l->decoder ? OPUS_FRAME : FRAME;
  for (int s = 0; s < count; s++) {
    sum += l->frame[s];
    heard += l->frame[s] != 0;
  }
  w->sum += sum;
  l->heard += heard;
}

static void send_frame(worker *w, leg *l) {
  uint8_t packet[SLOT + SRTP_MAX_TRAILER_LEN];
  int samples = l->encoder ? OPUS_FRAME : FRAME, length = HEADER + FRAME;
  memcpy(l->frame, tone, (size_t)samples * sizeof *tone);
  l->sequence++;
  l->timestamp += (uint32_t)samples;
  uint32_t timestamp = htonl(l->timestamp), ssrc = htonl(0x1234);
  packet[0] = 0x80;
  packet[1] = l->encoder ? OPUS_TYPE : 0;
  packet[2] = (uint8_t)(l->sequence >> 8);
  packet[3] = (uint8_t)l->sequence;
  memcpy(packet + 4, &timestamp, 4);
  memcpy(packet + 8, &ssrc, 4);
  if (l->encoder) {
    int count = opus_encode(l->encoder, l->frame, OPUS_FRAME, packet + HEADER, 1500 - HEADER);
    if (count <= 0) return;
    length = HEADER + count;
  } else {
    for (int s = 0; s < FRAME; s++) packet[HEADER + s] = mu_law(l->frame[s]);
  }
  if (!protect(l, packet, &length)) return;
  if (sendto(l->fd, packet, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&w->limit->target,
             sizeof w->limit->target) == length)
    l->packets++;
}

static void *run(void *argument) {
  worker *w = argument;
  unsigned batch = w->limit->options.batch;
  climit_pin((int)climit_place(w->first, w->limit->options.threads));
  w->clock = callocations_cpu_clock();
  w->allocations = callocations_here();
  uint8_t *bytes = malloc(batch * SLOT);
  struct iovec *vectors = calloc(batch, sizeof *vectors);
  struct mmsghdr *headers = calloc(batch, sizeof *headers);
  struct sockaddr_storage *sources = calloc(batch, sizeof *sources);
  for (unsigned i = 0; i < batch; i++) {
    vectors[i] = (struct iovec){bytes + i * SLOT, SLOT};
    headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &sources[i]};
  }
  // In phase all around, as calls that began at any time are.
  uint64_t start = now() + PERIOD;
  for (unsigned i = 0; i < w->count; i++) {
    unsigned place = w->first + i * w->limit->options.threads;
    leg_of(w, i)->due = start + (uint64_t)PERIOD * place / w->limit->options.legs;
  }
  unsigned next = 0;
  arm(w, leg_of(w, 0)->due);
  __atomic_add_fetch(&w->limit->ready, 1, __ATOMIC_RELEASE);
  while (!__atomic_load_n(&w->limit->stopping, __ATOMIC_ACQUIRE)) {
    struct epoll_event events[64];
    int count = epoll_wait(w->epoll, events, 64, -1);
    for (int i = 0; i < count; i++) {
      leg *l = events[i].data.ptr;
      if (l) {
        receive(l, headers, batch);
        continue;
      }
      uint64_t expirations;
      if (read(w->timer, &expirations, sizeof expirations) < 0) continue;
    }
    uint64_t time = now();
    bool has_run = false;
    while (leg_of(w, next)->due <= time) {
      leg *l = leg_of(w, next);
      bool is_leg = __atomic_load_n(&l->has_contexts, __ATOMIC_ACQUIRE);
      if (is_leg && w->limit->options.sends) send_frame(w, l);
      else if (is_leg) hand_on(w, l);
      l->due += PERIOD;
      next = (next + 1) % w->count;
      has_run = true;
    }
    if (has_run) arm(w, leg_of(w, next)->due);
  }
  free(bytes);
  free(vectors);
  free(headers);
  free(sources);
  return NULL;
}

static srtp_t make_session(const climit_options *options, bool is_outbound) {
  srtp_policy_t policy;
  memset(&policy, 0, sizeof policy);
  switch (options->profile) {
    case CLIMIT_PLAIN: return NULL;
    case CLIMIT_AES_CM_128_HMAC_SHA1_80:
      srtp_crypto_policy_set_rtp_default(&policy.rtp);
      srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
      break;
    case CLIMIT_AES_CM_128_HMAC_SHA1_32:
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
      srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
      break;
    case CLIMIT_AES_256_CM_HMAC_SHA1_80:
      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtp);
      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtcp);
      break;
    case CLIMIT_AEAD_AES_128_GCM:
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
      break;
    case CLIMIT_AEAD_AES_256_GCM:
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
      break;
  }
  policy.ssrc.type = is_outbound ? ssrc_any_outbound : ssrc_any_inbound;
  policy.key = (unsigned char *)options->key;
  policy.window_size = 128;
  srtp_t session = NULL;
  return srtp_create(&session, &policy) == srtp_err_status_ok ? session : NULL;
}

int climit_socket(uint16_t *port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 4 << 20;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  *port = ntohs(address.sin_port);
  return fd;
}

static bool open_opus(leg *l, const climit_options *options) {
  int status = OPUS_OK;
  const climit_opus *o = &options->opus;
  if (!options->sends) {
    l->decoder = opus_decoder_create(48000, 1, &status);
    return l->decoder;
  }
  l->encoder = opus_encoder_create(48000, 1, o->application, &status);
  return l->encoder && opus_encoder_ctl(l->encoder, OPUS_SET_BITRATE(o->bitrate)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_VBR(o->vbr)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_INBAND_FEC(o->inband_fec)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_DTX(o->dtx)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_MAX_BANDWIDTH(o->max_bandwidth)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_COMPLEXITY(o->complexity)) == OPUS_OK &&
         opus_encoder_ctl(l->encoder, OPUS_SET_PACKET_LOSS_PERC(o->packet_loss)) == OPUS_OK;
}

static bool open_leg(worker *w, leg *l) {
  const climit_options *options = &w->limit->options;
  l->fd = climit_socket(&l->port);
  if (l->fd < 0) return false;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
  if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, l->fd, &event) != 0) return false;
  return !options->is_opus || open_opus(l, options);
}

static ctransform *make_keys(const climit_options *options, size_t *tag) {
  bool is_aead = options->profile == CLIMIT_AEAD_AES_128_GCM || options->profile == CLIMIT_AEAD_AES_256_GCM;
  size_t key = options->key_length - (is_aead ? 12 : 14);
  *tag = is_aead ? 16 : options->profile == CLIMIT_AES_CM_128_HMAC_SHA1_32 ? 4 : 10;
  return ctransform_create(options->key, key, options->key + key, is_aead);
}

bool climit_add_contexts(climit *limit, unsigned index) {
  const climit_options *options = &limit->options;
  leg *l = &limit->legs[index];
  if (options->profile != CLIMIT_PLAIN && options->is_libsrtp2) {
    l->session = make_session(options, options->sends);
    l->unused_session = make_session(options, !options->sends);
    if (!l->session || !l->unused_session) return false;
  } else if (options->profile != CLIMIT_PLAIN) {
    l->keys = make_keys(options, &l->tag);
    l->unused_keys = make_keys(options, &l->tag);
    if (!l->keys || !l->unused_keys) return false;
  }
  __atomic_store_n(&l->has_contexts, 1, __ATOMIC_RELEASE);
  return true;
}

climit *climit_start(climit_options options) {
  make_tables();
  climit *limit = calloc(1, sizeof *limit);
  limit->options = options;
  memcpy(limit->key, options.key, options.key_length);
  limit->options.key = limit->key;
  limit->target = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(options.target), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  limit->legs = calloc(options.legs, sizeof(leg));
  limit->workers = calloc(options.threads, sizeof(worker));
  for (unsigned t = 0; t < options.threads; t++) {
    worker *w = &limit->workers[t];
    *w = (worker){.limit = limit, .first = t, .count = (options.legs - t + options.threads - 1) / options.threads};
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (w->epoll < 0 || w->timer < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &event) != 0) return NULL;
    for (unsigned i = 0; i < w->count; i++)
      if (!open_leg(w, leg_of(w, i))) return NULL;
    if (pthread_create(&w->thread, NULL, run, w) != 0) return NULL;
    limit->thread_count++;
  }
  while (__atomic_load_n(&limit->ready, __ATOMIC_ACQUIRE) < (int)limit->thread_count) usleep(1000);
  return limit;
}

uint16_t climit_port(const climit *limit, unsigned index) { return limit->legs[index].port; }

uint64_t climit_cpu(const climit *limit) {
  uint64_t sum = 0;
  for (unsigned t = 0; t < limit->thread_count; t++) {
    struct timespec time = {0};
    clock_gettime(limit->workers[t].clock, &time);
    sum += (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
  }
  return sum;
}

void climit_allocations(const climit *limit, uint64_t *own, uint64_t *srtp) {
  *own = *srtp = 0;
  for (unsigned t = 0; t < limit->thread_count; t++) {
    callocations counters = callocations_read(limit->workers[t].allocations);
    *own += counters.own;
    *srtp += counters.srtp;
  }
}

void climit_stop(climit *limit, uint64_t *packets, uint64_t *heard) {
  __atomic_store_n(&limit->stopping, 1, __ATOMIC_RELEASE);
  *packets = *heard = 0;
  for (unsigned t = 0; t < limit->thread_count; t++) {
    worker *w = &limit->workers[t];
    pthread_join(w->thread, NULL);
    close(w->epoll);
    close(w->timer);
  }
  for (unsigned i = 0; i < limit->options.legs; i++) {
    leg *l = &limit->legs[i];
    *packets += l->packets;
    *heard += l->heard;
    if (l->session) srtp_dealloc(l->session);
    if (l->unused_session) srtp_dealloc(l->unused_session);
    ctransform_destroy(l->keys);
    ctransform_destroy(l->unused_keys);
    if (l->encoder) opus_encoder_destroy(l->encoder);
    if (l->decoder) opus_decoder_destroy(l->decoder);
    close(l->fd);
  }
  free(limit->legs);
  free(limit->workers);
  free(limit);
}

unsigned climit_place(unsigned thread, unsigned threads) {
  return threads == 1 ? (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1 : thread;
}

void climit_pin(int place) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (long i = 0; i < processors; i++)
    if (place < 0 || i == place % processors) CPU_SET((size_t)i, &set);
  // Where it is not allowed, the scheduler chooses.
  sched_setaffinity(0, sizeof set, &set);
}

static pthread_t *wakers;
static unsigned waker_count;
static int resting;

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void *stay_awake(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&resting, __ATOMIC_RELAXED)) relax();
  return NULL;
}

bool climit_stay_awake(void) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  struct sched_param none = {.sched_priority = 0};
  wakers = calloc((size_t)processors, sizeof *wakers);
  resting = 0;
  for (long i = 0; i < processors; i++) {
    if (pthread_create(&wakers[waker_count], NULL, stay_awake, NULL) != 0) return false;
    if (pthread_setschedparam(wakers[waker_count++], SCHED_IDLE, &none) != 0) return false;
  }
  return true;
}

void climit_rest(void) {
  __atomic_store_n(&resting, 1, __ATOMIC_RELAXED);
  while (waker_count > 0) pthread_join(wakers[--waker_count], NULL);
  free(wakers);
  wakers = NULL;
}

unsigned climit_spread(int fd, const void *bytes, size_t count, const uint16_t *ports, unsigned port_count) {
  unsigned sent = 0;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (unsigned i = 0; i < port_count; i++) {
    address.sin_port = htons(ports[i]);
    sent += sendto(fd, bytes, count, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == (ssize_t)count;
  }
  return sent;
}

unsigned climit_drain(int fd) {
  static uint8_t bytes[64][SLOT];
  struct mmsghdr headers[64];
  struct iovec vectors[64];
  memset(headers, 0, sizeof headers);
  for (int i = 0; i < 64; i++) {
    vectors[i] = (struct iovec){bytes[i], SLOT};
    headers[i].msg_hdr.msg_iov = &vectors[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  unsigned all = 0;
  for (;;) {
    int count = recvmmsg(fd, headers, 64, MSG_DONTWAIT, NULL);
    if (count <= 0) return all;
    all += (unsigned)count;
  }
}
void climit_close(int fd) { close(fd); }
