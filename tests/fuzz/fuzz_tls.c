/*
 * A stream that speaks TLS with an OpenSSL of its own kind, over a wire that the input holds in its
 * hands: how many bytes pass at a time, whether one is changed, when it is cut. Whatever happens,
 * what is read is the beginning of what was written, an end is an end that was announced, and a
 * changed byte is found.
 */
#include "fuzz.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cio.h>

enum { WIRE = 300000, PIECE_MOST = 40000, ROUNDS_MOST = 200 };

struct run {
    struct fuzz_input script;
    cio_stream *s;
    const cio_tls_context *context;
    cio_task *starting; /* NULL: the handshake is over */
    int start_rc;
    SSL *peer;
    int wire; /* the other end of the stream's socket */
    bool tampered;
    bool cut;                /* the peer's side of the wire has ended */
    bool peer_ended;         /* the peer has announced its end */
    bool peer_failed;        /* OpenSSL is done with it */
    bool ended;              /* we have announced ours */
    bool closes;             /* we close the stream; else it is aborted */
    size_t to_us, from_peer; /* bytes that were read, and written */
    size_t to_peer, from_us;
    size_t written_most; /* that may have gone out: a write was cut short */
};

/* ---- what both ends are made of ---- */

static struct {
    cio_tls_context *client, *server;
    SSL_CTX *peers;
} kit;

static char *pem_of(BIO *bio, size_t *size)
{
    char *data;
    *size = (size_t)BIO_get_mem_data(bio, &data);
    return data;
}

static void make_kit(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 1000000);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"localhost", -1,
                               -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    FUZZ_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    BIO *both = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(both, certificate);
    PEM_write_bio_PrivateKey(both, key, NULL, NULL, 0, NULL, NULL);
    cio_tls_options options = {0};
    options.ca_data = options.certificate.data = pem_of(both, &options.ca_size);
    options.certificate.size = options.ca_size;
    FUZZ_CHECK(cio_tls_client_context(&kit.client, &options) == 0);
    FUZZ_CHECK(cio_tls_server_context(&kit.server, &options) == 0);
    kit.peers = SSL_CTX_new(TLS_method());
    SSL_CTX_use_certificate(kit.peers, certificate);
    SSL_CTX_use_PrivateKey(kit.peers, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(both);
}

static uint8_t byte_at(size_t position, bool ours)
{
    return (uint8_t)(position * 31 + (position >> 8) + ours);
}

static void fill(uint8_t *data, size_t size, size_t position, bool ours)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(position + i, ours);
}

static void check(const uint8_t *data, size_t size, size_t position, bool ours)
{
    for (size_t i = 0; i < size; i++)
        FUZZ_CHECK(data[i] == byte_at(position + i, ours));
}

static size_t small_or_large(struct run *run)
{
    unsigned byte = fuzz_byte(&run->script);
    return byte < 200 ? byte + 1 : (size_t)(byte - 199) * 700;
}

/* ---- the wire ---- */

/* The peer's bytes reach us; one of them changed, if so wished. */
static void carry_to_us(struct run *run, size_t most, unsigned change)
{
    static uint8_t bytes[PIECE_MOST];
    char *data;
    if (run->cut)
        return;
    long there = BIO_get_mem_data(SSL_get_wbio(run->peer), &data);
    size_t n = there < (long)most ? (size_t)there : most;
    n = n < sizeof bytes ? n : sizeof bytes;
    if (n == 0)
        return;
    memcpy(bytes, data, n);
    if (change)
        bytes[change % n] ^= (uint8_t)(1u << change % 8);
    ssize_t sent = send(run->wire, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        BIO_read(SSL_get_wbio(run->peer), bytes, (int)sent);
    if (change && sent > (ssize_t)(change % n))
        run->tampered = true;
}

static void carry_to_peer(struct run *run, size_t most)
{
    static uint8_t bytes[PIECE_MOST];
    ssize_t n = recv(run->wire, bytes, most < sizeof bytes ? most : sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        FUZZ_CHECK(BIO_write(SSL_get_rbio(run->peer), bytes, (int)n) == n);
}

/* ---- the peer ---- */

static void note_peer(struct run *run, int ret)
{
    int error = SSL_get_error(run->peer, ret);
    if (ret <= 0 && (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL))
        run->peer_failed = true;
    ERR_clear_error();
}

static void peer_reads(struct run *run)
{
    static uint8_t bytes[PIECE_MOST];
    if (run->peer_failed)
        return; /* OpenSSL would call it a proper end the second time */
    int n = SSL_read(run->peer, bytes, sizeof bytes);
    if (n > 0) {
        check(bytes, (size_t)n, run->to_peer, true);
        run->to_peer += (size_t)n;
        FUZZ_CHECK(run->to_peer <= run->written_most);
    } else if (SSL_get_error(run->peer, n) == SSL_ERROR_ZERO_RETURN) {
        FUZZ_CHECK(run->ended && run->to_peer == run->from_us);
    }
    note_peer(run, n);
}

static void peer_writes(struct run *run, size_t size)
{
    static uint8_t bytes[PIECE_MOST];
    size = size < sizeof bytes ? size : sizeof bytes;
    if (run->peer_ended || run->peer_failed || !SSL_is_init_finished(run->peer) ||
        BIO_pending(SSL_get_wbio(run->peer)) > WIRE)
        return;
    fill(bytes, size, run->from_peer, false);
    int n = SSL_write(run->peer, bytes, (int)size);
    run->from_peer += n > 0 ? (size_t)n : 0;
    note_peer(run, n);
}

static void peer_ends(struct run *run)
{
    if (!SSL_is_init_finished(run->peer) || run->peer_failed || run->peer_ended)
        return; /* a second SSL_shutdown() would read, and refuse what it finds */
    run->peer_ended = true;
    note_peer(run, SSL_shutdown(run->peer) < 0 ? -1 : 1);
}

/* ---- we ---- */

static int start(void *arg)
{
    struct run *run = arg;
    return cio_start_tls(run->s, run->context, "localhost");
}

static void note_start(struct run *run)
{
    if (!run->starting || !cio_done(run->starting))
        return;
    run->start_rc = cio_await(run->starting);
    run->starting = NULL;
}

/* In no time: it either goes on at once, or is canceled where it waits. */
static ssize_t in_no_time(struct run *run, bool writing, uint8_t *bytes, size_t size)
{
    cio_timeout none;
    FUZZ_CHECK(cio_timeout_enter(&none, 0) == 0);
    ssize_t rc = writing ? cio_write(run->s, bytes, size) : cio_read(run->s, bytes, size);
    int end = cio_timeout_exit(&none, rc < 0 ? (int)rc : 0);
    return end < 0 ? end : rc;
}

static void we_read(struct run *run, size_t size)
{
    static uint8_t bytes[PIECE_MOST];
    if (run->starting)
        return;
    size = size < sizeof bytes ? size : sizeof bytes;
    ssize_t n = in_no_time(run, false, bytes, size);
    if (n > 0) {
        check(bytes, (size_t)n, run->to_us, false);
        run->to_us += (size_t)n;
        FUZZ_CHECK(run->to_us <= run->from_peer);
    } else if (n == 0) {
        FUZZ_CHECK(run->peer_ended && run->to_us == run->from_peer);
    } else if (n != CIO_ETIMEDOUT) {
        FUZZ_CHECK(run->start_rc < 0 || run->tampered || run->cut || run->peer_failed);
        FUZZ_CHECK(run->start_rc < 0 || *cio_tls_why(run->s));
    }
}

static void we_write(struct run *run, size_t size)
{
    static uint8_t bytes[PIECE_MOST];
    if (run->starting || run->ended)
        return;
    size = size < sizeof bytes ? size : sizeof bytes;
    fill(bytes, size, run->from_us, true);
    ssize_t rc = in_no_time(run, true, bytes, size);
    size_t out = rc < 0 ? cio_partly_written(run->s) : size;
    bool known = rc == CIO_ETIMEDOUT || rc == 0;
    run->from_us += known ? out : 0;
    run->written_most = run->from_us + (known ? 0 : size);
}

static void we_end(struct run *run)
{
    if (!run->starting && cio_write_eof(run->s) == 0)
        run->ended = true;
}

static void let_go(void)
{
    FUZZ_CHECK(cio_sleep(1e-9) == 0);
}

static void one_step(struct run *run)
{
    unsigned what = fuzz_byte(&run->script);
    switch (what % 16) {
    case 0: peer_writes(run, small_or_large(run)); break;
    case 1: peer_reads(run); break;
    case 2:
    case 3:
    case 4: carry_to_us(run, small_or_large(run), 0); break;
    case 5:
    case 6: carry_to_peer(run, small_or_large(run)); break;
    case 7: we_read(run, small_or_large(run)); break;
    case 8: we_write(run, small_or_large(run)); break;
    case 9: let_go(); break;
    case 10:
        carry_to_us(run, small_or_large(run), what >> 4 ? 1 + fuzz_byte(&run->script) : 0);
        break;
    case 11:
        if (what >> 4 == 1)
            we_end(run);
        break;
    case 12:
        if (what >> 4 == 1)
            peer_ends(run);
        break;
    case 13:
        if (SSL_is_init_finished(run->peer) && !run->peer_ended)
            SSL_key_update(run->peer, SSL_KEY_UPDATE_REQUESTED);
        ERR_clear_error();
        break;
    case 14:
        if (!run->starting)
            cio_tls_update_keys(run->s, what >> 4 & 1);
        break;
    default:
        if (what >> 4 == 15 && !run->cut) {
            run->cut = true;
            shutdown(run->wire, SHUT_WR);
        }
    }
    if (!SSL_is_init_finished(run->peer))
        note_peer(run, SSL_do_handshake(run->peer));
    note_start(run);
}

/* Everything that is under way arrives, if nothing was done to it. */
static void settle(struct run *run)
{
    for (int i = 0; i < ROUNDS_MOST; i++) {
        size_t before = run->to_us + run->to_peer;
        if (!SSL_is_init_finished(run->peer))
            note_peer(run, SSL_do_handshake(run->peer));
        carry_to_us(run, PIECE_MOST, 0);
        let_go();
        note_start(run);
        if (!run->starting)
            we_read(run, PIECE_MOST);
        carry_to_peer(run, PIECE_MOST);
        if (SSL_is_init_finished(run->peer))
            peer_reads(run);
        if (i > 20 && before == run->to_us + run->to_peer)
            break;
    }
    if (run->tampered || run->cut)
        return;
    FUZZ_CHECK(!run->peer_failed);
    FUZZ_CHECK(!run->starting && run->start_rc == 0);
    FUZZ_CHECK(run->to_us == run->from_peer && run->to_peer == run->from_us);
}

static int run_main(void *arg)
{
    struct run *run = arg;
    int fds[2];
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    FUZZ_CHECK(cio_open_stream(&run->s, fds[0], NULL) == 0);
    run->wire = fds[1];
    run->starting = cio_create_task(start, run);
    FUZZ_CHECK(run->starting);
    while (run->script.size)
        one_step(run);
    settle(run);
    if (run->starting) {
        cio_cancel(run->starting);
        FUZZ_CHECK(cio_await(run->starting) < 0);
    }
    close(run->wire);
    if (run->closes)
        cio_close(run->s);
    else
        cio_abort(run->s);
    return 0;
}

static void forget(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kit.peers)
        make_kit();
    if (size < 2 || size > 2000)
        return 0;
    struct run run = {.script = {data, size}};
    unsigned shape = fuzz_byte(&run.script);
    run.closes = shape & 4;
    run.context = shape & 1 ? kit.server : kit.client;
    run.peer = SSL_new(kit.peers);
    FUZZ_CHECK(run.peer);
    SSL_set_bio(run.peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_mode(run.peer, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (shape & 2)
        SSL_set_max_proto_version(run.peer, TLS1_2_VERSION);
    if (shape & 1)
        SSL_set_connect_state(run.peer);
    else
        SSL_set_accept_state(run.peer);
    cio_run_options options = {.exception_handler = forget};
    FUZZ_CHECK(cio_run_with(&options, run_main, &run) == 0);
    SSL_free(run.peer);
    FUZZ_CHECK(ERR_peek_error() == 0);
    return 0;
}
