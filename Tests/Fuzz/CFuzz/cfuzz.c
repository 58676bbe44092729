#include "cfuzz.h"

// Of libclang_rt.fuzzer_no_main, which Scripts/fuzz links.
extern int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*input)(const uint8_t *, size_t));

int cfuzz_run(int argc, char **argv, int (*input)(const uint8_t *, size_t)) {
  return LLVMFuzzerRunDriver(&argc, &argv, input);
}
