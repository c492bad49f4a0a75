/*
 * Kernel TLS, asked for: the same bytes and ends whether the kernel has it or not. Where it must
 * have it ($CIO_TEST_KERNEL_TLS, see tools/ktls.sh) it must also be used.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

enum { BIG = 1000000, MORE = 300000, BEFORE = 1000, AFTER = 3000, SEED = 9 };

static cio_tls_context *asking(bool server, enum cio_tls_version version)
{
    const cio_tls_options options = {.kernel = true, .max_version = version};
    return server ? server_context(&options) : client_context(&options);
}

static bool kernel_sends(const cio_stream *s)
{
    cio_tls_info info;
    assert_int_equal(cio_tls_get_info(s, &info), 0);
    return info.kernel_sends;
}

/* ---- a stream of ours, and a blocking peer that knows OpenSSL only ---- */

struct duo {
    cio_stream *s;
    SSL *peer;
    int fd;
    bool used; /* by our side */
    enum cio_tls_version version;
    bool is_client; /* we are */
    bool is_unix;
};

static int shake(void *arg)
{
    struct duo *d = arg;
    return SSL_do_handshake(d->peer) == 1 ? 0 : -EPROTO;
}

static int shake_in_thread(void *arg)
{
    return cio_to_thread(shake, arg);
}

static void open_duo(struct duo *d)
{
    int fds[2];
    cio_tls_context *context = asking(!d->is_client, d->version);
    if (d->is_unix)
        net_pair(fds, SOCK_STREAM);
    else
        net_tcp_pair(fds);
    net_set_blocking(fds[1], true);
    d->fd = fds[1];
    d->peer = blocking_tls(d->fd, d->is_client, d->version);
    assert_int_equal(cio_open_stream(&d->s, fds[0], NULL), 0);
    cio_task *task = cio_create_task(shake_in_thread, d);
    assert_int_equal(cio_start_tls(d->s, context, "localhost"), 0);
    assert_int_equal(cio_await(task), 0);
    d->used = kernel_sends(d->s);
    if (test_kernel_tls())
        assert_int_equal(d->used, !d->is_unix);
    cio_tls_context_free(context);
}

static void end_duo(struct duo *d)
{
    SSL_free(d->peer);
    close(d->fd);
}

/* Reads all, and the proper end, in a thread: zeros, the file, more of its bytes, ones. */
static int read_all(void *arg)
{
    struct duo *d = arg;
    size_t size = BEFORE + BIG + MORE + AFTER, got = 0, n;
    char *data = malloc(size + 1);
    assert_non_null(data);
    while (got <= size && SSL_read_ex(d->peer, data + got, size + 1 - got, &n) == 1)
        got += n;
    assert_int_equal(got, size);
    assert_int_equal(SSL_get_error(d->peer, 0), SSL_ERROR_ZERO_RETURN);
    for (size_t i = 0; i < BEFORE; i++)
        assert_int_equal(data[i], 0);
    net_check(data + BEFORE, BIG + MORE, SEED, 0);
    for (size_t i = 0; i < AFTER; i++)
        assert_int_equal(data[size - AFTER + i], 1);
    free(data);
    assert_int_equal(SSL_write(d->peer, "thanks", 6), 6);
    assert_int_equal(SSL_shutdown(d->peer), 1);
    return 0;
}

static int read_in_thread(void *arg)
{
    return cio_to_thread(read_all, arg);
}

static int files_and_bytes(void *arg)
{
    static const char before[BEFORE];
    struct duo d = *(struct duo *)arg;
    const cio_sendfile_options native = {.native_only = true};
    char after[AFTER], answer[10];
    int whole = file_make(BIG + MORE, SEED);
    memset(after, 1, sizeof after);
    open_duo(&d);
    if (!d.is_unix)
        net_small_buffers(cio_stream_fd(d.s));
    cio_task *task = cio_create_task(read_in_thread, &d);
    assert_int_equal(cio_write(d.s, before, sizeof before), 0);
    int64_t sent = cio_sendfile_with(d.s, whole, 0, BIG, &native);
    assert_int_equal(sent, d.used ? BIG : -EOPNOTSUPP);
    if (!d.used)
        assert_int_equal(cio_sendfile(d.s, whole, 0, BIG), BIG);
    assert_int_equal(cio_sendfile(d.s, whole, BIG, CIO_TO_END), MORE);
    assert_int_equal(cio_write(d.s, after, sizeof after), 0);
    assert_int_equal(cio_write_eof(d.s), 0);
    assert_int_equal(cio_read_exactly(d.s, answer, 6), 6);
    assert_memory_equal(answer, "thanks", 6);
    assert_int_equal(cio_read(d.s, answer, 1), 0);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    close(whole);
    return 0;
}

TEST(t64_files_go_past_us_between_bytes)
{
    assert_int_equal(run_quiet(files_and_bytes, &(struct duo){0}), 0);
}

TEST(t64_files_go_past_us_from_a_client)
{
    assert_int_equal(run_quiet(files_and_bytes, &(struct duo){.is_client = true}), 0);
}

TEST(t64_files_go_past_us_with_tls_1_2)
{
    assert_int_equal(run_quiet(files_and_bytes, &(struct duo){.version = CIO_TLS_1_2}), 0);
    assert_int_equal(
        run_quiet(files_and_bytes, &(struct duo){.version = CIO_TLS_1_2, .is_client = true}), 0);
}

TEST(a_unix_socket_is_none_for_the_kernels_tls)
{
    assert_int_equal(run_quiet(files_and_bytes, &(struct duo){.is_unix = true}), 0);
}

/* ---- keys ---- */

/* Where the kernel has the keys they stay: ours and the peer's wishes for others are refused. */
static int no_new_keys(void *arg)
{
    struct duo d = {.is_client = *(bool *)arg};
    char data[10];
    open_duo(&d);
    assert_int_equal(cio_tls_update_keys(d.s, true), d.used ? -EOPNOTSUPP : 0);

    /* The peer's own may change. */
    assert_int_equal(SSL_key_update(d.peer, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_write(d.peer, "hello", 5), 5);
    assert_int_equal(cio_read_exactly(d.s, data, 5), 5);
    assert_int_equal(cio_write(d.s, "world", 5), 0);
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 5);
    assert_memory_equal(data, "world", 5);

    assert_int_equal(SSL_key_update(d.peer, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(d.peer, "again", 5), 5);
    ssize_t got = cio_read_exactly(d.s, data, 5);
    assert_true(got == 5 || (d.used && got == CIO_ETLS)); /* it is due before our next data */
    assert_int_equal(cio_write(d.s, "x", 1), d.used ? CIO_ETLS : 0);
    if (d.used)
        assert_non_null(strstr(cio_tls_why(d.s), "asks for new keys"));
    cio_abort(d.s);
    end_duo(&d);
    return 0;
}

TEST(keys_that_the_kernel_has_stay)
{
    assert_int_equal(run_quiet(no_new_keys, &(bool){false}), 0);
    assert_int_equal(run_quiet(no_new_keys, &(bool){true}), 0);
}

/* ---- a relay ---- */

static int pour(void *arg)
{
    struct sending *bytes = arg;
    int rc = send_bytes(bytes);
    return rc < 0 ? rc : shutdown(bytes->fd, SHUT_WR);
}

static int read_poured(void *arg)
{
    struct duo *d = arg;
    char *data = malloc(BIG + 1);
    size_t got = 0, n;
    assert_non_null(data);
    while (SSL_read_ex(d->peer, data + got, BIG + 1 - got, &n) == 1)
        got += n;
    assert_int_equal(got, BIG);
    net_check(data, BIG, SEED, 0);
    assert_int_equal(SSL_shutdown(d->peer), 1);
    free(data);
    return 0;
}

static int read_poured_in_thread(void *arg)
{
    return cio_to_thread(read_poured, arg);
}

static int relayed(void *arg)
{
    struct duo d = {0};
    struct ends from;
    int fds[2];
    (void)arg;
    open_duo(&d);
    net_tcp_pair(fds);
    ends_of(&from, fds, NULL);
    struct sending bytes = {.fd = from.peer, .size = BIG, .seed = SEED};
    cio_task *source = cio_create_task(pour, &bytes);
    cio_task *target = cio_create_task(read_poured_in_thread, &d);
    assert_int_equal(cio_relay(from.s, d.s, NULL), BIG);
    assert_int_equal(cio_await(source), 0);
    assert_int_equal(cio_await(target), 0);
    assert_int_equal(cio_close(d.s), 0);
    assert_int_equal(cio_close(from.s), 0);
    close(from.peer);
    end_duo(&d);
    return 0;
}

TEST(a_relay_goes_on_encrypted)
{
    assert_int_equal(run_quiet(relayed, NULL), 0);
}

/* ---- a peer that does not read ---- */

/* The end cannot be told while the socket is full: it is when there is room. */
static int full(void *arg)
{
    struct duo d = {0};
    static const char data[60000]; /* less than a stream queues before it waits */
    (void)arg;
    open_duo(&d);
    net_small_buffers(cio_stream_fd(d.s));
    net_small_buffers(d.fd);
    size_t got = 0, n;
    char read[1000];
    assert_int_equal(cio_write(d.s, data, sizeof data), 0);
    assert_int_equal(cio_write_eof(d.s), 0);
    net_set_blocking(d.fd, false);
    while (!(SSL_get_shutdown(d.peer) & SSL_RECEIVED_SHUTDOWN)) {
        if (SSL_read_ex(d.peer, read, sizeof read, &n) == 1)
            got += n;
        else
            assert_int_equal(cio_yield(), 0);
    }
    assert_int_equal(got, sizeof data);
    assert_int_equal(SSL_shutdown(d.peer), 1);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    return 0;
}

TEST(an_end_waits_for_room)
{
    assert_int_equal(run_quiet(full, NULL), 0);
}
