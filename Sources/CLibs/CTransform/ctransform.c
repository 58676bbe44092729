// SHA_CTX is the one form of a SHA-1 midstate that can be kept and copied without an allocation.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ctransform.h"
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/modes.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, RUN = 16, SHA1_BLOCK = 64, GCM_TAG = 16, GCM_SALT = 12, CM_SALT = 14, CACHE_LINE = 64 };

/// Five words of SHA-1 after one block.
typedef struct {
  uint32_t h[5];
} midstate;

/// The session keys for SRTP, or those for SRTCP. What AES-GCM needs of them is in one cache line.
typedef struct {
  /// AES in ECB mode: it makes the key stream, counter blocks in one call, with no IV to be set.
  _Alignas(CACHE_LINE) EVP_CIPHER_CTX *aes;
  GCM128_CONTEXT *gcm;
  /// During a call, key stream of the AES-GCM packet at hand: `ready` blocks, of the counters from `first` on. `wanted`
  /// more will be asked for.
  uint8_t *stream;
  uint32_t first, ready, wanted;
  bool has_failed, is_aead;
  uint8_t salt[BLOCK];
  midstate inner, outer;
} session_keys;

struct ctransform {
  session_keys rtp, rtcp;
};

static EVP_CIPHER *aes128, *aes256;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
  aes128 = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
  aes256 = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
}

static EVP_CIPHER_CTX *make_aes(const uint8_t *key, size_t length) {
  EVP_CIPHER *cipher = length == 16 ? aes128 : aes256;
  EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
  if (context && EVP_EncryptInit_ex2(context, cipher, key, NULL, NULL) == 1 &&
      EVP_CIPHER_CTX_set_padding(context, 0) == 1)
    return context;
  EVP_CIPHER_CTX_free(context);
  return NULL;
}

static inline void put32(uint8_t *bytes, uint32_t value) {
  value = htobe32(value);
  memcpy(bytes, &value, sizeof value);
}

static inline uint32_t get32(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return be32toh(value);
}

static inline void xor32(uint8_t *bytes, uint32_t value) { put32(bytes, get32(bytes) ^ value); }

static inline void xor_bytes(uint8_t *bytes, const uint8_t *stream, size_t count) {
  while (count >= 8) {
    uint64_t left, right;
    memcpy(&left, bytes, 8);
    memcpy(&right, stream, 8);
    left ^= right;
    memcpy(bytes, &left, 8);
    bytes += 8, stream += 8, count -= 8;
  }
  while (count--) *bytes++ ^= *stream++;
}

/// The blocks of `counters`, encrypted in place.
static inline bool encrypt_blocks(EVP_CIPHER_CTX *aes, uint8_t *counters, size_t blocks) {
  int length = 0;
  return EVP_EncryptUpdate(aes, counters, &length, counters, (int)(blocks * BLOCK)) == 1 &&
         length == (int)(blocks * BLOCK);
}

/// Counter mode from `iv` on, whose last 16 bits count (RFC 3711 §4.1.1); the key stream is left in `stream`.
static bool counter_mode(EVP_CIPHER_CTX *aes, const uint8_t *iv, uint8_t *bytes, size_t count,
                         uint8_t stream[RUN * BLOCK]) {
  uint32_t block = 0;
  while (count > 0) {
    size_t piece = count < RUN * BLOCK ? count : RUN * BLOCK, blocks = (piece + BLOCK - 1) / BLOCK;
    for (size_t i = 0; i < blocks; i++, block++) {
      memcpy(stream + i * BLOCK, iv, BLOCK - 2);
      stream[i * BLOCK + 14] = (uint8_t)(block >> 8);
      stream[i * BLOCK + 15] = (uint8_t)block;
    }
    if (!encrypt_blocks(aes, stream, blocks)) return false;
    xor_bytes(bytes, stream, piece);
    bytes += piece, count -= piece;
  }
  return true;
}

// MARK: Keys

/// One session key: the key stream under the master key whose IV is the salt with the label in it (RFC 3711 §4.3.3).
static bool derive(EVP_CIPHER_CTX *master, const uint8_t *salt, size_t salt_length, uint8_t label, uint8_t *key,
                   size_t length) {
  uint8_t iv[BLOCK] = {0};
  memcpy(iv, salt, salt_length);
  iv[7] ^= label;
  memset(key, 0, length);
  uint8_t stream[RUN * BLOCK];
  bool is_derived = counter_mode(master, iv, key, length, stream);
  // Here the key stream is the key.
  OPENSSL_cleanse(stream, sizeof stream);
  return is_derived;
}

static midstate begin(const uint8_t *key, size_t length, uint8_t pad) {
  uint8_t block[SHA1_BLOCK];
  SHA_CTX hash;
  memset(block, pad, sizeof block);
  xor_bytes(block, key, length);
  SHA1_Init(&hash);
  SHA1_Transform(&hash, block);
  midstate state = {{hash.h0, hash.h1, hash.h2, hash.h3, hash.h4}};
  OPENSSL_cleanse(block, sizeof block);
  OPENSSL_cleanse(&hash, sizeof hash);
  return state;
}

static void block_of_gcm(const uint8_t in[BLOCK], uint8_t out[BLOCK], const void *keys);

static bool make_session(session_keys *keys, EVP_CIPHER_CTX *master, const uint8_t *salt, size_t key_length,
                         uint8_t label, bool is_aead) {
  size_t salt_length = is_aead ? GCM_SALT : CM_SALT;
  uint8_t secret[32];
  keys->is_aead = is_aead;
  bool is_made = derive(master, salt, salt_length, label, secret, key_length) &&
                 (keys->aes = make_aes(secret, key_length)) != NULL &&
                 derive(master, salt, salt_length, label + 2, keys->salt, salt_length);
  if (is_made && is_aead) {
    uint8_t stream[RUN * BLOCK];
    keys->stream = stream;
    keys->gcm = CRYPTO_gcm128_new(keys, block_of_gcm);
    keys->stream = NULL;
    OPENSSL_cleanse(stream, sizeof stream);
    is_made = keys->gcm != NULL && !keys->has_failed;
  } else if (is_made) {
    is_made = derive(master, salt, salt_length, label + 1, secret, SHA_DIGEST_LENGTH);
    keys->inner = begin(secret, SHA_DIGEST_LENGTH, 0x36);
    keys->outer = begin(secret, SHA_DIGEST_LENGTH, 0x5C);
  }
  OPENSSL_cleanse(secret, sizeof secret);
  return is_made;
}

ctransform *ctransform_create(const uint8_t *key, size_t key_length, const uint8_t *salt, bool is_aead) {
  pthread_once(&fetched, fetch);
  ctransform *transform = aligned_alloc(CACHE_LINE, sizeof *transform);
  if (transform) memset(transform, 0, sizeof *transform);
  EVP_CIPHER_CTX *master = make_aes(key, key_length);
  bool is_made = false;
  if (transform && master) {
    is_made = make_session(&transform->rtp, master, salt, key_length, 0, is_aead) &&
              make_session(&transform->rtcp, master, salt, key_length, 3, is_aead);
  }
  EVP_CIPHER_CTX_free(master);
  if (is_made) return transform;
  ctransform_destroy(transform);
  return NULL;
}

void ctransform_destroy(ctransform *transform) {
  if (!transform) return;
  session_keys *both[] = {&transform->rtp, &transform->rtcp};
  for (int i = 0; i < 2; i++) {
    EVP_CIPHER_CTX_free(both[i]->aes);
    CRYPTO_gcm128_release(both[i]->gcm);
  }
  OPENSSL_cleanse(transform, sizeof *transform);
  free(transform);
}

// MARK: AES-CM and HMAC-SHA1

/// The salt at 2^16, the SSRC at 2^64, the index at 2^16 (RFC 3711 §4.1.1).
static bool encrypt_cm(session_keys *keys, const ctransform_packet *packet) {
  uint8_t iv[BLOCK];
  memcpy(iv, keys->salt, BLOCK);
  xor32(iv + 4, packet->ssrc);
  xor32(iv + 8, (uint32_t)(packet->index >> 16));
  xor32(iv + 12, (uint32_t)packet->index << 16);
  uint8_t stream[RUN * BLOCK];
  return counter_mode(keys->aes, iv, packet->bytes + packet->header, packet->payload, stream);
}

static inline void resume(SHA_CTX *hash, const midstate *state) {
  hash->h0 = state->h[0], hash->h1 = state->h[1], hash->h2 = state->h[2], hash->h3 = state->h[3],
  hash->h4 = state->h[4];
  // One block has been taken in.
  hash->Nl = 8 * SHA1_BLOCK, hash->Nh = 0, hash->num = 0;
}

static inline void put_digest(const SHA_CTX *hash, uint8_t digest[SHA_DIGEST_LENGTH]) {
  put32(digest, hash->h0), put32(digest + 4, hash->h1), put32(digest + 8, hash->h2), put32(digest + 12, hash->h3),
  put32(digest + 16, hash->h4);
}

/// HMAC-SHA1 of the first `count` bytes and, for SRTP, the rollover counter (RFC 3711 §4.2).
static void authenticate(const session_keys *keys, const uint8_t *bytes, size_t count, const uint32_t *rollover,
                         uint8_t digest[SHA_DIGEST_LENGTH]) {
  SHA_CTX hash;
  resume(&hash, &keys->inner);
  size_t whole = count / SHA1_BLOCK * SHA1_BLOCK, rest = count - whole;
  uint64_t bits = 8 * (uint64_t)(SHA1_BLOCK + count + (rollover ? 4 : 0));
  SHA1_Update(&hash, bytes, whole);
  // What is left, the counter, and the padding, at most two blocks.
  uint8_t end[2 * SHA1_BLOCK] = {0};
  memcpy(end, bytes + whole, rest);
  if (rollover) put32(end + rest, *rollover), rest += 4;
  end[rest] = 0x80;
  size_t blocks = rest < SHA1_BLOCK - 8 ? 1 : 2;
  put32(end + blocks * SHA1_BLOCK - 8, (uint32_t)(bits >> 32));
  put32(end + blocks * SHA1_BLOCK - 4, (uint32_t)bits);
  SHA1_Transform(&hash, end);
  if (blocks == 2) SHA1_Transform(&hash, end + SHA1_BLOCK);
  uint8_t last[SHA1_BLOCK] = {0};
  put_digest(&hash, last);
  last[SHA_DIGEST_LENGTH] = 0x80;
  put32(last + SHA1_BLOCK - 4, 8 * (SHA1_BLOCK + SHA_DIGEST_LENGTH));
  resume(&hash, &keys->outer);
  SHA1_Transform(&hash, last);
  put_digest(&hash, digest);
}

static bool seal_cm(session_keys *keys, const ctransform_packet *packet) {
  if (!encrypt_cm(keys, packet)) return false;
  size_t count = packet->header + packet->payload;
  uint32_t rollover = (uint32_t)(packet->index >> 16);
  if (packet->is_rtcp) put32(packet->bytes + count, 0x80000000 | (uint32_t)packet->index), count += 4;
  uint8_t digest[SHA_DIGEST_LENGTH];
  authenticate(keys, packet->bytes, count, packet->is_rtcp ? NULL : &rollover, digest);
  memcpy(packet->bytes + count, digest, packet->tag);
  return true;
}

static int open_cm(session_keys *keys, const ctransform_packet *packet) {
  size_t count = packet->header + packet->payload + (packet->is_rtcp ? 4 : 0);
  uint32_t rollover = (uint32_t)(packet->index >> 16);
  uint8_t digest[SHA_DIGEST_LENGTH];
  authenticate(keys, packet->bytes, count, packet->is_rtcp ? NULL : &rollover, digest);
  if (CRYPTO_memcmp(packet->bytes + count, digest, packet->tag) != 0) return 0;
  return encrypt_cm(keys, packet) ? 1 : -1;
}

// MARK: AES-GCM

/// Counter blocks from that of `in` on, as many as the packet will still want.
static void refill(session_keys *keys, const uint8_t in[BLOCK]) {
  uint32_t first = get32(in + 12), blocks = keys->wanted < RUN ? keys->wanted : RUN;
  if (blocks == 0) blocks = 1;
  for (uint32_t i = 0; i < blocks; i++) {
    memcpy(keys->stream + i * BLOCK, in, GCM_SALT);
    put32(keys->stream + i * BLOCK + 12, first + i);
  }
  if (!encrypt_blocks(keys->aes, keys->stream, blocks)) keys->has_failed = true;
  keys->first = first, keys->ready = blocks;
  keys->wanted -= blocks < keys->wanted ? blocks : keys->wanted;
}

/// What libcrypto's GCM calls for a single block: the hash key, the packet's first counter block, and the last piece.
static void block_of_gcm(const uint8_t in[BLOCK], uint8_t out[BLOCK], const void *context) {
  session_keys *keys = (session_keys *)context;
  uint32_t place = get32(in + 12) - keys->first;
  if (place >= keys->ready) {
    refill(keys, in);
    place = 0;
  }
  memcpy(out, keys->stream + place * BLOCK, BLOCK);
}

/// What it calls for a run of whole blocks.
static void blocks_of_gcm(const uint8_t *in, uint8_t *out, size_t blocks, const void *context,
                          const uint8_t counter[BLOCK]) {
  session_keys *keys = (session_keys *)context;
  uint8_t next[BLOCK];
  memcpy(next, counter, BLOCK);
  while (blocks > 0) {
    uint32_t place = get32(next + 12) - keys->first;
    if (place >= keys->ready) {
      refill(keys, next);
      place = 0;
    }
    size_t run = keys->ready - place < blocks ? keys->ready - place : blocks;
    if (out != in) memmove(out, in, run * BLOCK);
    xor_bytes(out, keys->stream + place * BLOCK, run * BLOCK);
    in += run * BLOCK, out += run * BLOCK, blocks -= run;
    put32(next + 12, get32(next + 12) + (uint32_t)run);
  }
}

/// The IV of RFC 7714 §8.1 and §9.1; what is authenticated besides is the header and, for SRTCP, the word.
static void begin_gcm(session_keys *keys, const ctransform_packet *packet, uint8_t *stream) {
  uint8_t iv[GCM_SALT];
  memcpy(iv, keys->salt, GCM_SALT);
  xor32(iv + 2, packet->ssrc);
  if (packet->is_rtcp) {
    xor32(iv + 8, (uint32_t)packet->index);
  } else {
    xor32(iv + 6, (uint32_t)(packet->index >> 16));
    iv[10] ^= (uint8_t)(packet->index >> 8);
    iv[11] ^= (uint8_t)packet->index;
  }
  keys->stream = stream;
  keys->ready = 0;
  keys->has_failed = false;
  keys->wanted = (uint32_t)(1 + (packet->payload + BLOCK - 1) / BLOCK);
  CRYPTO_gcm128_setiv(keys->gcm, iv, sizeof iv);
}

static bool add_header(session_keys *keys, const ctransform_packet *packet) {
  if (CRYPTO_gcm128_aad(keys->gcm, packet->bytes, packet->header) != 0) return false;
  uint8_t word[4];
  put32(word, 0x80000000 | (uint32_t)packet->index);
  return !packet->is_rtcp || CRYPTO_gcm128_aad(keys->gcm, word, sizeof word) == 0;
}

static bool seal_gcm(session_keys *keys, const ctransform_packet *packet) {
  uint8_t *payload = packet->bytes + packet->header, *tag = payload + packet->payload, stream[RUN * BLOCK];
  begin_gcm(keys, packet, stream);
  if (!add_header(keys, packet) ||
      CRYPTO_gcm128_encrypt_ctr32(keys->gcm, payload, payload, packet->payload, blocks_of_gcm) != 0)
    return false;
  CRYPTO_gcm128_tag(keys->gcm, tag, GCM_TAG);
  if (packet->is_rtcp) put32(tag + GCM_TAG, 0x80000000 | (uint32_t)packet->index);
  return !keys->has_failed;
}

static int open_gcm(session_keys *keys, const ctransform_packet *packet) {
  uint8_t *payload = packet->bytes + packet->header, computed[GCM_TAG], stream[RUN * BLOCK];
  begin_gcm(keys, packet, stream);
  if (!add_header(keys, packet) ||
      CRYPTO_gcm128_decrypt_ctr32(keys->gcm, payload, payload, packet->payload, blocks_of_gcm) != 0)
    return -1;
  CRYPTO_gcm128_tag(keys->gcm, computed, GCM_TAG);
  if (keys->has_failed) return -1;
  return CRYPTO_memcmp(payload + packet->payload, computed, GCM_TAG) == 0 ? 1 : 0;
}

// MARK: Packets

bool ctransform_seal(ctransform *transform, const ctransform_packet *packet) {
  session_keys *keys = packet->is_rtcp ? &transform->rtcp : &transform->rtp;
  return keys->is_aead ? seal_gcm(keys, packet) : seal_cm(keys, packet);
}

int ctransform_open(ctransform *transform, const ctransform_packet *packet) {
  session_keys *keys = packet->is_rtcp ? &transform->rtcp : &transform->rtp;
  return keys->is_aead ? open_gcm(keys, packet) : open_cm(keys, packet);
}
