#ifndef CTRANSFORM_H
#define CTRANSFORM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The session keys of one master key, for SRTP and for SRTCP, made ready in libcrypto: a packet sets no key, allocates
/// nothing and is worked on in place. One thread at a time.
typedef struct ctransform ctransform;

/// Derives the session keys (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11). `key_length` is 16 or 32; `is_aead` says that
/// they are for AES-GCM with a salt of 12 bytes, else for AES-CM and HMAC-SHA1 with one of 14. NULL when libcrypto fails.
ctransform *ctransform_create(const uint8_t *key, size_t key_length, const uint8_t *salt, bool is_aead);

/// Wipes and frees them.
void ctransform_destroy(ctransform *transform);

/// Where a packet's parts are. It begins with `header` bytes in the clear and `payload` bytes that are encrypted. Then
/// come, in AES-CM, SRTCP's word with the E bit and the index, and the tag; in AES-GCM, the tag and then that word.
typedef struct {
  uint8_t *bytes;
  size_t header;
  size_t payload;
  size_t tag;
  uint32_t ssrc;
  /// 48 bits of SRTP's index, or 31 of SRTCP's.
  uint64_t index;
  bool is_rtcp;
} ctransform_packet;

/// Encrypts, and writes the tag and, for SRTCP, the word; the caller has checked that there is room. False when libcrypto
/// fails.
bool ctransform_seal(ctransform *transform, const ctransform_packet *packet);

/// 1: authenticated, and decrypted. 0: not authenticated. Below 0: libcrypto failed. Unless it is 1, what was encrypted
/// is undefined.
int ctransform_open(ctransform *transform, const ctransform_packet *packet);
#endif
