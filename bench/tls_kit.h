/* What the servers and the load of the TLS benches share. */
#ifndef BENCH_TLS_KIT_H
#define BENCH_TLS_KIT_H

#include <stddef.h>

/* A fresh self-signed certificate of an elliptic curve (P-256), and its key, one behind the other, as PEM. */
const char *tls_kit_pem(size_t *size);

#endif
