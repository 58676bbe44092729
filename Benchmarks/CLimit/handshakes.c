#define _GNU_SOURCE
#include "climit.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// What a datagram may have, as in the module dtls_srtp; a flight has few datagrams.
enum { MTU = 1200, SLOT = 2048, QUEUED = 32, WARM_UP = 8 };

/// What one end has written and the other has not read yet, a datagram in each slot.
typedef struct {
  unsigned first, count;
  size_t lengths[QUEUED];
  uint8_t slots[QUEUED][SLOT];
} wire;

typedef struct {
  wire *in, *out;
} endpoint;

typedef struct {
  pthread_t thread;
  SSL_CTX *client, *server;
  BIO_METHOD *method;
  unsigned count;
  uint64_t cpu;
  bool succeeded;
} worker;

static int read_datagram(BIO *bio, char *buffer, int size) {
  wire *in = ((endpoint *)BIO_get_data(bio))->in;
  BIO_clear_retry_flags(bio);
  if (in->first == in->count) {
    in->first = in->count = 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t length = in->lengths[in->first];
  if (length > (size_t)size) length = (size_t)size;
  memcpy(buffer, in->slots[in->first++], length);
  return (int)length;
}

static int write_datagram(BIO *bio, const char *bytes, int count) {
  wire *out = ((endpoint *)BIO_get_data(bio))->out;
  BIO_clear_retry_flags(bio);
  if (count <= 0 || count > SLOT || out->count == QUEUED) return -1;
  memcpy(out->slots[out->count], bytes, (size_t)count);
  out->lengths[out->count++] = (size_t)count;
  return count;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT: return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return MTU;
    case BIO_CTRL_DGRAM_SET_MTU: return number;
    default: return 0;
  }
}

/// A fingerprint is all that DTLS-SRTP looks at, and who compares it is not part of the handshake.
static int accept_any(X509_STORE_CTX *store, void *argument) {
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

static bool sign(X509 *certificate, EVP_PKEY *key) {
  X509_NAME *name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), 0) && X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"climit", -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool configure(SSL_CTX *context, X509 *certificate, EVP_PKEY *key) {
  // The cipher that two such certificates agree on, OpenSSL's own curves, and the profiles in the module's order. This last
  // one returns 0 for success.
  bool is_set =
      SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
      SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1 &&
      SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1 &&
      SSL_CTX_set_tlsext_use_srtp(context, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:"
                                           "SRTP_AES128_CM_SHA1_32") == 0;
  SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
  return is_set;
}

/// A self-signed ECDSA P-256 certificate, and what all associations under it share.
static SSL_CTX *make_context(void) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  SSL_CTX *context = SSL_CTX_new(DTLS_method());
  bool is_made = key && certificate && context && sign(certificate, key) && configure(context, certificate, key);
  // The context has references of its own.
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (is_made) return context;
  SSL_CTX_free(context);
  return NULL;
}

static SSL *make_association(SSL_CTX *context, BIO_METHOD *method, endpoint *end) {
  SSL *ssl = SSL_new(context);
  BIO *bio = BIO_new(method);
  if (!ssl || !bio) {
    SSL_free(ssl);
    BIO_free(bio);
    return NULL;
  }
  BIO_set_data(bio, end);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_mtu(ssl, MTU);
  return ssl;
}

/// 1 when the handshake is complete, 0 while the other end has its turn, -1 when it has failed.
static int step(SSL *ssl) {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl);
  if (result == 1) return 1;
  return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static bool shake_hands(worker *w, wire *wires) {
  wires[0].first = wires[0].count = wires[1].first = wires[1].count = 0;
  endpoint ends[2] = {{&wires[0], &wires[1]}, {&wires[1], &wires[0]}};
  SSL *client = make_association(w->client, w->method, &ends[0]);
  SSL *server = make_association(w->server, w->method, &ends[1]);
  bool is_done = false, is_going = client && server;
  if (is_going) {
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
  }
  for (int turn = 0; turn < 16 && is_going; turn++) {
    int first = step(client), second = step(server);
    is_done = first == 1 && second == 1;
    is_going = !is_done && first >= 0 && second >= 0;
  }
  is_done = is_done && SSL_get_selected_srtp_profile(client) && SSL_get_selected_srtp_profile(server);
  SSL_free(client);
  SSL_free(server);
  return is_done;
}

static uint64_t thread_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void *run(void *argument) {
  worker *w = argument;
  wire *wires = calloc(2, sizeof *wires);
  w->succeeded = wires != NULL;
  // What OpenSSL makes once for each thread is there before the time is taken.
  for (unsigned i = 0; i < WARM_UP && w->succeeded; i++) w->succeeded = shake_hands(w, wires);
  uint64_t start = thread_time();
  for (unsigned i = 0; i < w->count && w->succeeded; i++) w->succeeded = shake_hands(w, wires);
  w->cpu = thread_time() - start;
  free(wires);
  return NULL;
}

static BIO_METHOD *make_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7E, "datagrams in memory");
  if (!method) return NULL;
  BIO_meth_set_read(method, read_datagram);
  BIO_meth_set_write(method, write_datagram);
  BIO_meth_set_ctrl(method, control);
  return method;
}

uint64_t climit_handshakes(unsigned threads, unsigned count) {
  SSL_CTX *client = make_context(), *server = make_context();
  BIO_METHOD *method = make_method();
  worker *workers = calloc(threads, sizeof *workers);
  unsigned started = 0;
  bool succeeded = client && server && method && workers;
  while (succeeded && started < threads) {
    workers[started] = (worker){.client = client, .server = server, .method = method, .count = count};
    succeeded = pthread_create(&workers[started].thread, NULL, run, &workers[started]) == 0;
    if (succeeded) started++;
  }
  uint64_t cpu = 0;
  for (unsigned t = 0; t < started; t++) {
    pthread_join(workers[t].thread, NULL);
    cpu += workers[t].cpu;
    succeeded = succeeded && workers[t].succeeded;
  }
  free(workers);
  BIO_meth_free(method);
  SSL_CTX_free(client);
  SSL_CTX_free(server);
  return succeeded ? cpu : 0;
}
