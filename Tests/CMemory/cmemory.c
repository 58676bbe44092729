#define _GNU_SOURCE
#include "cmemory.h"

#include <malloc.h>
#include <string.h>

size_t cmemory_in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void cmemory_clear_stack(void) {
  char room[1 << 16];
  explicit_bzero(room, sizeof room);
}

const void *cmemory_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count) {
  return memmem(bytes, count, wanted, wanted_count);
}
