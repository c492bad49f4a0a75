/*
 * TLS for tests: certificates made on the spot, contexts of them, and blocking peers that know
 * OpenSSL only. Every function asserts that it succeeded.
 */
#ifndef CIO_TESTS_TLS_H
#define CIO_TESTS_TLS_H

#include <openssl/ssl.h>

#include <cio.h>

struct pem {
    char certificate[4096]; /* and those that lead to an authority */
    char key[2048];
};

struct certificate_wish {
    const char *name;         /* CN */
    const char *alternatives; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const struct pem *issuer; /* NULL: itself */
    bool authority;
    bool rsa;      /* else an elliptic curve's key */
    int from_days; /* from now; until 0: 30 */
    int until_days;
};

void make_certificate(struct pem *pem, const struct certificate_wish *wish);

/* An authority, a server that it vouches for (localhost, 127.0.0.1 and ::1), and a client. */
const struct pem *test_authority(void);
const struct pem *test_server(void);
const struct pem *test_client(void);

void use_pem(cio_tls_options *options, const struct pem *pem);

/* Whether $CIO_TEST_KERNEL_TLS says that all connections use kernel TLS: tools/ktls.sh. */
bool test_kernel_tls(void);

/* Contexts of those, and of the options' other members. The client trusts the authority. */
cio_tls_context *server_context(const cio_tls_options *options);
cio_tls_context *client_context(const cio_tls_options *options);

/* A temporary directory, which is gone at the end; and a file in it. */
const char *test_dir(void);
const char *test_file(const char *name, const char *text);

/* Runs a program, its output to a file of the test's directory, "NAME.log". */
int spawn(const char *name, char *const argv[]);
void await_exit(int pid, int *status);
bool has_program(const char *name);
const char *read_log(const char *name);

/* A blocking OpenSSL connection on a descriptor: either side, the test's certificates. */
SSL *blocking_tls(int fd, bool server, int max_version);

/* A server of one address; clients connect to port. */
struct tls_server {
    cio_server *server;
    cio_tls_context *context;
    char port[8];
};
void serve_tls(struct tls_server *s, cio_client_connected *fn, void *arg,
               const cio_tls_options *options);
void stop_tls(struct tls_server *s);

/* The port that a server listens at. */
void name_port(char port[8], const cio_server *server);

/* Connects to it as localhost; what comes of it is returned. */
int connect_tls(cio_stream **ret, const struct tls_server *s, const cio_tls_context *context);

/* Sends back what comes, until the end. */
int echo_client(cio_stream *s, void *arg);

#endif
