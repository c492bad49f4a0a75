#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

extern char **environ;

/* ---- certificates ---- */

static X509 *read_certificate(const struct pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->certificate, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

static EVP_PKEY *read_key(const struct pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static void add_extension(X509 *certificate, X509 *issuer, int id, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void write_pem(struct pem *pem, X509 *certificate, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    int n = BIO_read(bio, pem->certificate, sizeof pem->certificate - 1);
    assert_true(n > 0 && BIO_pending(bio) == 0);
    pem->certificate[n] = 0;
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    n = BIO_read(bio, pem->key, sizeof pem->key - 1);
    assert_true(n > 0 && BIO_pending(bio) == 0);
    pem->key[n] = 0;
    BIO_free(bio);
}

void make_certificate(struct pem *pem, const struct certificate_wish *wish)
{
    static long serial = 1000;
    const long day = 24 * 60 * 60;
    EVP_PKEY *key = wish->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    X509 *issuer = wish->issuer ? read_certificate(wish->issuer) : certificate;
    EVP_PKEY *issuer_key = wish->issuer ? read_key(wish->issuer) : key;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wish->from_days * day - day / 2);
    X509_gmtime_adj(X509_getm_notAfter(certificate),
                    (wish->until_days ? wish->until_days : 30) * day);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)wish->name, -1, -1, 0);
    X509_set_pubkey(certificate, key);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    add_extension(certificate, issuer, NID_basic_constraints,
                  wish->authority ? "critical,CA:TRUE" : "CA:FALSE");
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (wish->alternatives)
        add_extension(certificate, issuer, NID_subject_alt_name, wish->alternatives);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    write_pem(pem, certificate, key);
    if (wish->issuer) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

const struct pem *test_authority(void)
{
    static struct pem pem;
    if (!*pem.key)
        make_certificate(&pem, &(struct certificate_wish){.name = "Test CA", .authority = true});
    return &pem;
}

const struct pem *test_server(void)
{
    static struct pem pem;
    if (!*pem.key)
        make_certificate(
            &pem, &(struct certificate_wish){.name = "localhost",
                                             .alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1",
                                             .issuer = test_authority()});
    return &pem;
}

const struct pem *test_client(void)
{
    static struct pem pem;
    if (!*pem.key)
        make_certificate(
            &pem, &(struct certificate_wish){.name = "a client", .issuer = test_authority()});
    return &pem;
}

void use_pem(cio_tls_options *options, const struct pem *pem)
{
    options->certificate = (cio_tls_certificate){.data = pem->certificate,
                                                 .size = strlen(pem->certificate),
                                                 .key_data = pem->key,
                                                 .key_size = strlen(pem->key)};
}

/* Where kernel TLS is, the tests of TLS can be run with it. */
bool test_kernel_tls(void)
{
    return getenv("CIO_TEST_KERNEL_TLS") != NULL;
}

cio_tls_context *server_context(const cio_tls_options *options)
{
    cio_tls_context *context;
    cio_tls_options all = options ? *options : (cio_tls_options){0};
    all.kernel |= test_kernel_tls();
    if (!all.certificate.file && !all.certificate.data)
        use_pem(&all, test_server());
    int rc = cio_tls_server_context(&context, &all);
    if (rc < 0)
        print_error("%s: %s\n", cio_err_name(rc), cio_tls_why(NULL));
    assert_int_equal(rc, 0);
    return context;
}

cio_tls_context *client_context(const cio_tls_options *options)
{
    cio_tls_context *context;
    cio_tls_options all = options ? *options : (cio_tls_options){0};
    all.kernel |= test_kernel_tls();
    all.ca_data = test_authority()->certificate;
    all.ca_size = strlen(test_authority()->certificate);
    int rc = cio_tls_client_context(&context, &all);
    if (rc < 0)
        print_error("%s: %s\n", cio_err_name(rc), cio_tls_why(NULL));
    assert_int_equal(rc, 0);
    return context;
}

/* ---- files and programs ---- */

static char dir[64];
static pid_t dir_of;

static void remove_dir(void)
{
    char command[128];
    if (getpid() != dir_of)
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

const char *test_dir(void)
{
    if (*dir)
        return dir;
    snprintf(dir, sizeof dir, "/tmp/cio-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    dir_of = getpid();
    atexit(remove_dir);
    return dir;
}

static const char *path_of(const char *name)
{
    static char paths[16][128];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", test_dir(), name);
    return path;
}

const char *test_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

bool has_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v '%s' >/dev/null", name);
    return system(command) == 0;
}

int spawn(const char *name, char *const argv[])
{
    pid_t pid;
    char log[64];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    snprintf(log, sizeof log, "%s.log", name);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, path_of(log), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    int rc = posix_spawnp(&pid, argv[0], &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    assert_int_equal(rc, 0);
    return pid;
}

void await_exit(int pid, int *status)
{
    assert_int_equal(waitpid(pid, status, 0), pid);
}

const char *read_log(const char *name)
{
    static char text[65536];
    char log[64];
    snprintf(log, sizeof log, "%s.log", name);
    FILE *file = fopen(path_of(log), "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    return text;
}

/* ---- peers ---- */

SSL *blocking_tls(int fd, bool server, int max_version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    assert_non_null(context);
    X509 *certificate = read_certificate(test_server());
    EVP_PKEY *key = read_key(test_server());
    X509 *authority = read_certificate(test_authority());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    SSL_CTX_set_max_proto_version(context, max_version);
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    SSL_CTX_free(context);
    X509_free(certificate);
    X509_free(authority);
    EVP_PKEY_free(key);
    SSL_set_fd(ssl, fd);
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

void name_port(char port[8], const cio_server *server)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd;
    assert_int_equal(cio_server_sockets(server, &fd, 1), 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, 8, "%d", ntohs(address.sin_port));
}

void serve_tls(struct tls_server *s, cio_client_connected *fn, void *arg,
               const cio_tls_options *options)
{
    s->context = server_context(options);
    cio_server_options how = {.tls = s->context};
    assert_int_equal(cio_start_server(&s->server, fn, arg, "127.0.0.1", "0", &how), 0);
    name_port(s->port, s->server);
}

void stop_tls(struct tls_server *s)
{
    assert_int_equal(cio_server_close(s->server), 0);
    assert_int_equal(cio_server_wait_closed(s->server), 0);
    assert_int_equal(cio_server_free(s->server), 0);
    cio_tls_context_free(s->context);
}

int connect_tls(cio_stream **ret, const struct tls_server *s, const cio_tls_context *context)
{
    cio_connect_options options = {.tls = context, .server_hostname = "localhost"};
    return cio_open_connection(ret, "127.0.0.1", s->port, &options);
}

int echo_client(cio_stream *s, void *arg)
{
    char data[16384];
    (void)arg;
    for (;;) {
        ssize_t n = cio_read(s, data, sizeof data);
        if (n <= 0)
            return (int)n;
        int rc = cio_write(s, data, (size_t)n);
        if (rc < 0)
            return rc;
    }
}
