#include <alsa/asoundlib.h>

// The library's own words go to stderr otherwise; a variadic function can't be written in Swift.
static void calsa_say_nothing(const char *file, int line, const char *function, int error, const char *format, ...) {
  (void)file; (void)line; (void)function; (void)error; (void)format;
}

static inline void calsa_keep_quiet(void) { snd_lib_error_set_handler(calsa_say_nothing); }
