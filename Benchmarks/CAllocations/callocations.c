// Takes malloc's place in the program that it is linked into, shared libraries included, and counts by thread.
// Everything is passed on to glibc's own names, so what free, strdup and the rest do stays as it is.
#define _GNU_SOURCE
#include "callocations.h"
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

// Of the initial image: access never allocates.
static __thread callocations counters __attribute__((tls_model("initial-exec")));
static __thread int inside_srtp __attribute__((tls_model("initial-exec")));

static void *counted(void *memory) {
  if (memory) {
    if (inside_srtp) counters.srtp++;
    else counters.own++;
  }
  return memory;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *realloc(void *memory, size_t size) { return counted(__libc_realloc(memory, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *valloc(size_t size) { return counted(__libc_memalign((size_t)sysconf(_SC_PAGESIZE), size)); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void *taken = counted(__libc_memalign(alignment, size));
  if (!taken) return ENOMEM;
  *memory = taken;
  return 0;
}

// libsrtp2's calls of the packet path, by their own names, so that its allocations are told from ours.
#define SRTP_CALL(name)                                                             \
  int name(void *session, void *packet, int *length) {                              \
    static int (*next)(void *, void *, int *);                                      \
    int (*call)(void *, void *, int *) = __atomic_load_n(&next, __ATOMIC_RELAXED);   \
    if (!call) {                                                                    \
      call = (int (*)(void *, void *, int *))dlsym(RTLD_NEXT, #name);               \
      __atomic_store_n(&next, call, __ATOMIC_RELAXED);                              \
    }                                                                               \
    inside_srtp++;                                                                  \
    int status = call(session, packet, length);                                     \
    inside_srtp--;                                                                  \
    return status;                                                                  \
  }

SRTP_CALL(srtp_protect)
SRTP_CALL(srtp_unprotect)
SRTP_CALL(srtp_protect_rtcp)
SRTP_CALL(srtp_unprotect_rtcp)

const callocations *callocations_here(void) { return &counters; }

callocations callocations_read(const callocations *from) {
  return (callocations){
      .own = __atomic_load_n(&from->own, __ATOMIC_RELAXED), .srtp = __atomic_load_n(&from->srtp, __ATOMIC_RELAXED)};
}

clockid_t callocations_cpu_clock(void) {
  clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
  pthread_getcpuclockid(pthread_self(), &clock);
  return clock;
}

unsigned callocations_plant(void) {
  void *volatile memory = malloc(24);
  memory = realloc(memory, 4000);
  free(memory);
  memory = calloc(3, 8);
  free(memory);
  memory = aligned_alloc(64, 128);
  free(memory);
  memory = valloc(16);
  free(memory);
  void *aligned = NULL;
  if (posix_memalign(&aligned, 64, 128) == 0) free(aligned);
  return 6;
}

void callocations_trim(void) { malloc_trim(0); }
