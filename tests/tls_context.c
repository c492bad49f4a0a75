/*
 * Contexts: what they are made of, and what is refused; protocols, names, several certificates,
 * resumption.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"
#include "tls.h"

/* ---- making them ---- */

static void refuse(cio_tls_options options, bool server, int rc, const char *word)
{
    cio_tls_context *context = (cio_tls_context *)&options;
    if (server && !options.certificate.file && !options.certificate.data)
        use_pem(&options, test_server());
    int got = server ? cio_tls_server_context(&context, &options)
                     : cio_tls_client_context(&context, &options);
    if (got != rc || (word && !strstr(cio_tls_why(NULL), word)))
        print_error("%s: %s\n", cio_err_name(got), cio_tls_why(NULL));
    assert_int_equal(got, rc);
    assert_null(context);
    assert_true(!word || strstr(cio_tls_why(NULL), word));
    assert_int_equal(ERR_peek_error(), 0);
}

TEST(options_that_cannot_be)
{
    static const char *const empty[] = {"h2", "", NULL};
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[256] = 0;
    const char *const too_long[] = {longest, NULL};
    cio_tls_context *context;
    assert_int_equal(cio_tls_client_context(NULL, NULL), -EINVAL);
    assert_int_equal(cio_tls_server_context(&context, NULL), -EINVAL);
    assert_null(context);
    refuse((cio_tls_options){.handshake_timeout = -1}, false, -EINVAL, NULL);
    refuse((cio_tls_options){.handshake_timeout = NAN}, false, -EINVAL, NULL);
    refuse((cio_tls_options){.shutdown_timeout = -1}, true, -EINVAL, NULL);
    refuse((cio_tls_options){.shutdown_timeout = NAN}, true, -EINVAL, NULL);
    refuse((cio_tls_options){.verify = 4}, false, -EINVAL, NULL);
    refuse((cio_tls_options){.verify = CIO_TLS_VERIFY_REQUIRED}, true, -EINVAL, NULL);
    refuse((cio_tls_options){.min_version = CIO_TLS_1_3, .max_version = CIO_TLS_1_2}, false,
           -EINVAL, NULL);
    refuse((cio_tls_options){.min_version = 7}, false, -EINVAL, NULL);
    refuse((cio_tls_options){.alpn = empty}, true, -EINVAL, NULL);
    refuse((cio_tls_options){.alpn = too_long}, false, -EINVAL, NULL);
    refuse((cio_tls_options){.ciphers = "NOTHING"}, false, CIO_ETLS, "NOTHING");
    cio_tls_context_free(NULL);
    cio_tls_context_free(CIO_TLS_CLIENT);
    assert_int_equal(cio_tls_add_certificate(CIO_TLS_CLIENT, NULL), -EINVAL);
}

TEST(files_that_are_missing_or_wrong)
{
    const char *garbage = test_file("garbage.pem", "nothing of the kind\n");
    const char *cert = test_file("cert.pem", test_server()->certificate);
    const char *key = test_file("key.pem", test_server()->key);
    const char *other = test_file("other.pem", test_client()->key);
    refuse((cio_tls_options){.certificate.file = "/nowhere/a.pem"}, true, CIO_ETLS,
           "certificate /nowhere/a.pem: ");
    refuse((cio_tls_options){.certificate.file = "/nowhere/a.pem"}, true, CIO_ETLS,
           "No such file or directory");
    refuse((cio_tls_options){.certificate.file = garbage}, true, CIO_ETLS, "no start line");
    refuse((cio_tls_options){.certificate.file = cert}, true, CIO_ETLS, "key /tmp/");
    refuse((cio_tls_options){.certificate = {.file = cert, .key_file = "/nowhere/k"}}, true,
           CIO_ETLS, "key /nowhere/k: ");
    refuse((cio_tls_options){.certificate = {.file = cert, .key_file = other}}, true, CIO_ETLS,
           "key values mismatch");
    refuse((cio_tls_options){.ca_file = "/nowhere/ca.pem"}, false, CIO_ETLS, "/nowhere/ca.pem");
    refuse((cio_tls_options){.ca_file = garbage}, false, CIO_ETLS, "no start line");
    refuse((cio_tls_options){.ca_dir = "/nowhere"}, false, CIO_ETLS, "/nowhere");
    refuse((cio_tls_options){.ca_dir = cert}, false, CIO_ETLS, "Not a directory");
    refuse((cio_tls_options){.ca_data = "x", .ca_size = 1}, false, CIO_ETLS, "in memory");
    cio_tls_options good = {.certificate = {.file = cert, .key_file = key},
                            .ca_file = cert,
                            .ca_dir = "/tmp",
                            .system_cas = true,
                            .verify = CIO_TLS_VERIFY_OPTIONAL};
    cio_tls_context_free(server_context(&good));
}

TEST(keys_with_a_password)
{
    char text[3000];
    BIO *from = BIO_new_mem_buf(test_server()->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
    BIO *to = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(to, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    int n = BIO_read(to, text, sizeof text - 1);
    text[n] = 0;
    BIO_free(from);
    BIO_free(to);
    EVP_PKEY_free(key);
    cio_tls_options options = {0};
    use_pem(&options, test_server());
    options.certificate.key_data = text;
    options.certificate.key_size = strlen(text);
    refuse(options, true, CIO_ETLS, "key in memory"); /* and nobody is asked at the terminal */
    options.certificate.password = "wrong";
    refuse(options, true, CIO_ETLS, "key in memory");
    options.certificate.password = "secret";
    cio_tls_context_free(server_context(&options));
}

static int wrong_kind(void *arg)
{
    cio_tls_context *client = client_context(NULL), *server = server_context(NULL);
    cio_server *ours = (cio_server *)&arg;
    cio_stream *s;
    int pair[2];
    (void)arg;
    cio_server_options how = {.tls = client};
    assert_int_equal(cio_start_server(&ours, echo_client, NULL, "127.0.0.1", "0", &how), -EINVAL);
    assert_null(ours);
    how.tls = CIO_TLS_CLIENT;
    assert_int_equal(cio_start_server(&ours, echo_client, NULL, "127.0.0.1", "0", &how), -EINVAL);
    cio_connect_options with = {.tls = server};
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", "1", &with), -EINVAL);
    with.tls = client; /* no name to be verified */
    assert_int_equal(cio_open_connection(&s, NULL, "1", &with), -EINVAL);
    assert_int_equal(cio_open_unix_connection(&s, "/tmp/x", &with), -EINVAL);
    with.server_hostname = "";
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", "1", &with), -EINVAL);
    with = (cio_connect_options){.server_hostname = "x"}; /* only meaningful with tls */
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", "1", &with), -EINVAL);
    with = (cio_connect_options){.tls = client, .server_hostname = "x"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(cio_open_stream(&s, pair[0], &with), -EINVAL);
    close(pair[0]);
    close(pair[1]);
    cio_tls_context_free(client);
    cio_tls_context_free(server);
    return 0;
}

TEST(a_context_of_the_wrong_kind)
{
    assert_int_equal(run_quiet(wrong_kind, NULL), 0);
}

/* ---- protocols ---- */

static int alpn_of(const struct tls_server *server, const char *const *wishes, char *got)
{
    cio_tls_options options = {.alpn = wishes};
    cio_tls_context *client = client_context(&options);
    cio_tls_info info;
    cio_stream *s;
    int rc = connect_tls(&s, server, client);
    if (rc == 0) {
        assert_int_equal(cio_tls_get_info(s, &info), 0);
        strcpy(got, info.alpn);
        assert_int_equal(cio_close(s), 0);
    }
    cio_tls_context_free(client);
    return rc;
}

static int protocols(void *arg)
{
    static const char *const h2_http[] = {"h2", "http/1.1", NULL};
    static const char *const http_h2[] = {"http/1.1", "h2", NULL};
    static const char *const other[] = {"other", NULL};
    struct tls_server server;
    char got[256];
    (void)arg;
    serve_tls(&server, echo_client, NULL, &(cio_tls_options){.alpn = h2_http});
    assert_int_equal(alpn_of(&server, http_h2, got), 0);
    assert_string_equal(got, "h2"); /* the server's preference */
    assert_int_equal(alpn_of(&server, h2_http + 1, got), 0);
    assert_string_equal(got, "http/1.1");
    assert_int_equal(alpn_of(&server, NULL, got), 0);
    assert_string_equal(got, "");
    assert_int_equal(alpn_of(&server, other, got), CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(NULL), "no application protocol"));
    stop_tls(&server);
    return 0;
}

TEST(protocols_are_agreed_upon)
{
    assert_int_equal(run_quiet(protocols, NULL), 0);
}

/* ---- names ---- */

static const cio_tls_context *choose(const char *name, void *arg)
{
    note("%s", name ? name : "-");
    return name && strcmp(name, "second.example") == 0 ? arg : NULL;
}

static int names(void *arg)
{
    static struct pem second;
    struct tls_server server;
    cio_tls_options options = {0};
    cio_tls_context *client = client_context(NULL);
    cio_tls_info info;
    cio_stream *s;
    (void)arg;
    make_certificate(&second, &(struct certificate_wish){.name = "second",
                                                         .alternatives = "DNS:second.example",
                                                         .issuer = test_authority()});
    use_pem(&options, &second);
    cio_tls_context *other = server_context(&options);
    serve_tls(&server, echo_client, NULL,
              &(cio_tls_options){.choose = choose, .choose_arg = other});
    const char *const hosts[] = {"second.example", "localhost", "127.0.0.1"};
    for (int i = 0; i < 3; i++) {
        cio_connect_options how = {.tls = client, .server_hostname = hosts[i]};
        assert_int_equal(cio_open_connection(&s, "127.0.0.1", server.port, &how), 0);
        assert_int_equal(cio_tls_get_info(s, &info), 0);
        assert_string_equal(info.subject, i == 0 ? "CN=second" : "CN=localhost");
        assert_int_equal(cio_close(s), 0);
    }
    assert_string_equal(noted(), "second.example localhost -"); /* numbers are no names */
    stop_tls(&server);
    cio_tls_context_free(other);
    cio_tls_context_free(client);
    return 0;
}

TEST(a_server_chooses_its_certificate_by_the_name)
{
    assert_int_equal(run_quiet(names, NULL), 0);
}

/* ---- two kinds of keys ---- */

static int two_keys(void *arg)
{
    static struct pem rsa;
    struct tls_server server;
    cio_tls_info info;
    cio_stream *s;
    (void)arg;
    make_certificate(&rsa, &(struct certificate_wish){.name = "rsa",
                                                      .alternatives = "DNS:localhost",
                                                      .issuer = test_authority(),
                                                      .rsa = true});
    serve_tls(&server, echo_client, NULL, NULL);
    cio_tls_certificate more = {.data = rsa.certificate,
                                .size = strlen(rsa.certificate),
                                .key_data = rsa.key,
                                .key_size = strlen(rsa.key)};
    assert_int_equal(cio_tls_add_certificate(server.context, &more), 0);
    const char *const ciphers[] = {"ECDHE+aECDSA", "ECDHE+aRSA"};
    for (int i = 0; i < 2; i++) {
        cio_tls_options options = {.ciphers = ciphers[i], .max_version = CIO_TLS_1_2};
        cio_tls_context *client = client_context(&options);
        assert_int_equal(connect_tls(&s, &server, client), 0);
        assert_int_equal(cio_tls_get_info(s, &info), 0);
        assert_string_equal(info.version, "TLSv1.2");
        assert_string_equal(info.subject, i == 0 ? "CN=localhost" : "CN=rsa");
        assert_int_equal(cio_close(s), 0);
        cio_tls_context_free(client);
    }
    stop_tls(&server);
    return 0;
}

TEST(certificates_of_two_kinds)
{
    assert_int_equal(run_quiet(two_keys, NULL), 0);
}

/* ---- resumption ---- */

/* Connects, says something, and tells whether the handshake was a short one. */
static bool resumed(const struct tls_server *server, const cio_tls_context *client,
                    const char *host)
{
    cio_connect_options how = {.tls = client, .server_hostname = host};
    cio_tls_info info;
    cio_stream *s;
    char byte;
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", server->port, &how), 0);
    assert_int_equal(cio_write(s, "x", 1), 0);
    assert_int_equal(cio_read(s, &byte, 1), 1);
    assert_int_equal(cio_tls_get_info(s, &info), 0);
    assert_true(info.has_certificate);
    assert_string_equal(info.subject, "CN=localhost");
    assert_int_equal(cio_close(s), 0);
    return info.resumed;
}

static int resumption(void *arg)
{
    struct tls_server server, second;
    cio_tls_options options = {.max_version = *(int *)arg};
    cio_tls_context *client = client_context(&options);
    serve_tls(&server, echo_client, NULL, NULL);
    serve_tls(&second, echo_client, NULL, NULL);
    assert_false(resumed(&server, client, "localhost"));
    assert_true(resumed(&server, client, "localhost"));
    assert_true(resumed(&server, client, "localhost"));
    assert_false(resumed(&server, client, "127.0.0.1")); /* another name was not verified yet */
    assert_true(resumed(&server, client, "127.0.0.1"));
    assert_false(resumed(&second, client, "localhost")); /* another server */
    assert_true(resumed(&server, client, "localhost"));
    cio_tls_context *other = client_context(&options);
    assert_false(resumed(&server, other, "localhost"));
    cio_tls_context_free(other);
    stop_tls(&server);
    stop_tls(&second);
    cio_tls_context_free(client);

    options.no_resumption = true;
    client = client_context(&options);
    serve_tls(&server, echo_client, NULL, NULL);
    for (int i = 0; i < 3; i++)
        assert_false(resumed(&server, client, "localhost"));
    cio_tls_context_free(client);
    stop_tls(&server);

    options.no_resumption = false;
    client = client_context(&options);
    serve_tls(&server, echo_client, NULL, &(cio_tls_options){.no_resumption = true});
    for (int i = 0; i < 3; i++)
        assert_false(resumed(&server, client, "localhost"));
    cio_tls_context_free(client);
    stop_tls(&server);
    return 0;
}

TEST(the_second_handshake_with_a_server_is_short)
{
    int version = CIO_TLS_1_3;
    assert_int_equal(run_quiet(resumption, &version), 0);
}

TEST(the_second_handshake_is_short_with_tls_1_2)
{
    int version = CIO_TLS_1_2;
    assert_int_equal(run_quiet(resumption, &version), 0);
}

/* A client remembers no more servers than it has places for. */
static int many_servers(void *arg)
{
    enum { N = 70 };
    struct tls_server server;
    cio_tls_options options = {.any_host = true};
    cio_tls_context *client = client_context(&options);
    char host[32];
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    for (int i = 0; i < N; i++) {
        snprintf(host, sizeof host, "host%d.example", i);
        assert_false(resumed(&server, client, host));
    }
    assert_true(resumed(&server, client, host));
    assert_false(resumed(&server, client, "host0.example"));
    cio_tls_context_free(client);
    stop_tls(&server);
    return 0;
}

TEST(a_client_remembers_a_bounded_number_of_servers)
{
    assert_int_equal(run_quiet(many_servers, NULL), 0);
}
