#ifndef CHEAP_H
#define CHEAP_H

#include <stddef.h>

/// Bytes that malloc has given out, in all arenas; Swift's Glibc module lacks mallinfo2.
size_t cheap_bytes_in_use(void);

#endif
