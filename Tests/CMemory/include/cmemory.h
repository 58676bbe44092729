#ifndef CMEMORY_H
#define CMEMORY_H

#include <stddef.h>

// What Swift's Glibc module lacks.

/// Bytes that malloc has given out, in all arenas (mallinfo2).
size_t cmemory_in_use(void);

/// Where `wanted` is within `bytes` for the first time, or NULL (memmem).
const void *cmemory_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count);

/// Clears the 64 KiB of the stack below the caller.
void cmemory_clear_stack(void);

#endif
