#ifndef CFUZZ_H
#define CFUZZ_H
#include <stddef.h>
#include <stdint.h>

/// Runs libFuzzer with a program's arguments; returns its exit code.
int cfuzz_run(int argc, char **argv, int (*input)(const uint8_t *bytes, size_t count));
#endif
