/*
 * Whom a client trusts, and a server that asks for certificates: each bad one is refused, with its
 * reason in words.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"
#include "tls.h"

static char why[600]; /* the last failure's text, read before the next wait */

/* What connecting says to a server with this certificate. */
static int try_certificate(const struct pem *pem, const cio_tls_context *client, const char *host)
{
    struct tls_server server;
    cio_tls_options options = {0};
    cio_stream *s;
    use_pem(&options, pem);
    serve_tls(&server, echo_client, NULL, &options);
    cio_connect_options how = {.tls = client, .server_hostname = host};
    int rc = cio_open_connection(&s, "127.0.0.1", server.port, &how);
    strcpy(why, cio_tls_why(NULL));
    if (rc == 0)
        assert_int_equal(cio_close(s), 0);
    else
        assert_null(s);
    assert_int_equal(ERR_peek_error(), 0);
    stop_tls(&server);
    return rc;
}

static void assert_refused(const struct pem *pem, const cio_tls_context *client, const char *host,
                           const char *reason, const char *value)
{
    assert_int_equal(try_certificate(pem, client, host), CIO_ECERTIFICATE);
    if (!strstr(why, reason) || !strstr(why, value))
        print_error("%s\n", why);
    assert_non_null(strstr(why, reason));
    assert_non_null(strstr(why, value));
    assert_non_null(strstr(why, host));
}

static int bad_certificates(void *arg)
{
    static struct pem pem, other;
    cio_tls_context *client = client_context(NULL);
    (void)arg;
    struct certificate_wish wish = {.name = "localhost", .issuer = test_authority()};

    wish.alternatives = "DNS:localhost";
    wish.from_days = -20;
    wish.until_days = -10;
    make_certificate(&pem, &wish);
    assert_refused(&pem, client, "localhost", "certificate has expired", "until ");

    wish.from_days = 10;
    wish.until_days = 20;
    make_certificate(&pem, &wish);
    assert_refused(&pem, client, "localhost", "not yet valid", "from ");

    wish.from_days = wish.until_days = 0;
    wish.alternatives = "DNS:other.example,DNS:*.sub.example";
    make_certificate(&pem, &wish);
    assert_refused(&pem, client, "localhost", "hostname mismatch", "DNS:other.example");
    assert_refused(&pem, client, "127.0.0.1", "IP address mismatch", "DNS:other.example");
    assert_refused(&pem, client, "a.b.sub.example", "hostname mismatch", "DNS:*.sub.example");
    assert_int_equal(try_certificate(&pem, client, "a.sub.example"), 0);
    assert_int_equal(try_certificate(&pem, client, "OTHER.example."), 0);

    wish.alternatives = NULL;
    wish.issuer = NULL;
    make_certificate(&pem, &wish);
    assert_refused(&pem, client, "localhost", "self-signed", "CN=localhost");

    make_certificate(&other, &(struct certificate_wish){.name = "Nobody", .authority = true});
    wish.issuer = &other;
    make_certificate(&pem, &wish);
    assert_refused(&pem, client, "localhost", "unable to get local issuer", "issued by CN=Nobody");

    /* Somebody who was vouched for cannot vouch for others. */
    wish.issuer = test_server();
    wish.name = "mallory";
    wish.alternatives = "DNS:localhost";
    make_certificate(&pem, &wish);
    strcat(pem.certificate, test_server()->certificate);
    assert_refused(&pem, client, "localhost", "invalid CA certificate", "CN=localhost");

    /* After all that a good one is good. */
    assert_int_equal(try_certificate(test_server(), client, "localhost"), 0);
    assert_int_equal(try_certificate(test_server(), client, "127.0.0.1"), 0);
    assert_int_equal(try_certificate(test_server(), client, "::1"), 0);
    cio_tls_context_free(client);
    return 0;
}

TEST(bad_certificates_are_refused_and_the_reason_told)
{
    assert_int_equal(run_quiet(bad_certificates, NULL), 0);
}

static int usual_client(void *arg)
{
    (void)arg;
    assert_refused(test_server(), CIO_TLS_CLIENT, "localhost", "local issuer", "Test CA");
    return 0;
}

TEST(the_usual_client_trusts_the_systems_authorities_only)
{
    assert_int_equal(run_quiet(usual_client, NULL), 0);
}

static int system_has_ours(void *arg)
{
    (void)arg;
    assert_int_equal(try_certificate(test_server(), CIO_TLS_CLIENT, "localhost"), 0);
    return 0;
}

TEST(the_systems_authorities_are_openssls)
{
    setenv("SSL_CERT_FILE", test_file("ca.pem", test_authority()->certificate), 1);
    assert_int_equal(run_quiet(system_has_ours, NULL), 0);
}

static int switched_off(void *arg)
{
    static struct pem pem;
    (void)arg;
    make_certificate(&pem, &(struct certificate_wish){.name = "anything", .until_days = 1});
    cio_tls_options any = {.any_host = true};
    cio_tls_context *client = client_context(&any);
    assert_int_equal(try_certificate(test_server(), client, "wrong.example"), 0);
    assert_refused(&pem, client, "wrong.example", "self-signed", "anything");
    cio_tls_context_free(client);

    cio_tls_options none = {.verify = CIO_TLS_VERIFY_NONE};
    client = client_context(&none);
    assert_int_equal(try_certificate(&pem, client, "wrong.example"), 0);
    assert_int_equal(try_certificate(&pem, client, NULL), 0);
    cio_tls_context_free(client);
    return 0;
}

TEST(verification_can_be_switched_off)
{
    assert_int_equal(run_quiet(switched_off, NULL), 0);
}

/* ---- certificates of clients ---- */

static int say_subject(cio_stream *s, void *arg)
{
    cio_tls_info info;
    (void)arg;
    assert_int_equal(cio_tls_get_info(s, &info), 0);
    assert_true(info.server);
    assert_int_equal(cio_tls_peer_certificate(s, NULL, 0) > 0, info.has_certificate);
    return cio_printf(s, "%s\n", info.has_certificate ? info.subject : "nobody");
}

/* What the server calls the client; an error of the handshake, or of the first read. */
static ssize_t ask_name(const struct tls_server *server, const struct pem *pem, int version,
                        char *name, size_t size)
{
    cio_stream *s;
    cio_tls_options options = {.max_version = version};
    if (pem)
        use_pem(&options, pem);
    cio_tls_context *client = client_context(&options);
    ssize_t rc = connect_tls(&s, server, client);
    cio_tls_context_free(client); /* the connection has its own reference */
    if (rc < 0)
        return rc;
    rc = cio_read_line(s, name, size);
    if (rc < 0)
        assert_int_equal(rc, CIO_ETLS);
    cio_close(s);
    return rc;
}

static int client_certificates(void *arg)
{
    static struct pem stranger;
    struct tls_server server;
    char name[100];
    make_certificate(&stranger, &(struct certificate_wish){.name = "stranger"});
    int version = *(int *)arg;
    cio_tls_options options = {.verify = CIO_TLS_VERIFY_REQUIRED,
                               .ca_data = test_authority()->certificate,
                               .ca_size = strlen(test_authority()->certificate)};
    serve_tls(&server, say_subject, NULL, &options);
    assert_true(ask_name(&server, test_client(), version, name, sizeof name) > 0);
    assert_string_equal(name, "CN=a client\n");
    assert_int_equal(ask_name(&server, NULL, version, name, sizeof name), CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(NULL),
                           version == CIO_TLS_1_3 ? "certificate required" : "handshake failure"));
    assert_non_null(strstr(cio_tls_why(NULL), "(the peer says)"));
    assert_int_equal(ask_name(&server, &stranger, version, name, sizeof name), CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(NULL), "unknown ca"));
    stop_tls(&server);

    options.verify = CIO_TLS_VERIFY_OPTIONAL;
    serve_tls(&server, say_subject, NULL, &options);
    assert_true(ask_name(&server, test_client(), version, name, sizeof name) > 0);
    assert_string_equal(name, "CN=a client\n");
    assert_true(ask_name(&server, NULL, version, name, sizeof name) > 0);
    assert_string_equal(name, "nobody\n");
    assert_int_equal(ask_name(&server, &stranger, version, name, sizeof name), CIO_ETLS);
    stop_tls(&server);
    return 0;
}

TEST(a_server_demands_certificates)
{
    int version = CIO_TLS_1_3;
    assert_int_equal(run_quiet(client_certificates, &version), 0);
}

TEST(a_server_demands_certificates_with_tls_1_2)
{
    int version = CIO_TLS_1_2;
    assert_int_equal(run_quiet(client_certificates, &version), 0);
}

/* ---- OpenSSL's queue of errors ---- */

/* Errors that lie about, of the program's own doing for instance, are nobody's. */
static int dirty_queue(void *arg)
{
    struct tls_server server;
    cio_tls_context *client = client_context(NULL);
    cio_stream *s;
    char byte;
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    assert_int_equal(connect_tls(&s, &server, client), 0);
    for (int i = 0; i < 3; i++) {
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
        assert_int_equal(cio_write(s, "x", 1), 0);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
        assert_int_equal(cio_read(s, &byte, 1), 1);
    }
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    assert_int_equal(cio_close(s), 0);
    ERR_clear_error();
    stop_tls(&server);
    cio_tls_context_free(client);
    return 0;
}

TEST(errors_that_lie_about_are_nobodys)
{
    assert_int_equal(run_quiet(dirty_queue, NULL), 0);
}
