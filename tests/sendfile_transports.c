/* Files to transports (T64): in order with what the protocol writes, and with its end (T59). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "test.h"

enum { BIG = 2000000 };

struct file_to_transport {
    cio_transport *t;
    int file;
    int64_t count;
    int64_t sent;
};

static int send_task(void *arg)
{
    struct file_to_transport *f = arg;
    cio_sendfile_options options = {.sent = &f->sent};
    int64_t rc = cio_transport_sendfile(f->t, f->file, 0, f->count, &options);
    if (rc >= 0)
        assert_int_equal(rc, f->sent);
    return rc < 0 ? (int)rc : 0;
}

struct under_way {
    struct recorder r;
    struct file_to_transport f;
    struct file_check check;
    cio_task *sending;
};

/* A file is being sent, and its peer does not read yet. */
static void begin(struct under_way *u, int64_t count)
{
    *u = (struct under_way){.r.quiet_data = true};
    recorder_begin(&u->r);
    u->f = (struct file_to_transport){u->r.transport, file_make(BIG, 7), count, -1};
    u->check = (struct file_check){.fd = u->r.peer, .seed = 7};
    u->sending = cio_create_task(send_task, &u->f);
    settle_io();
    assert_false(cio_done(u->sending));
    notes_clear();
}

static void end(struct under_way *u)
{
    recorder_end(&u->r);
    close(u->f.file);
}

/* What is written meanwhile, and a close, come behind the file. */
static int written_behind(void *arg)
{
    struct under_way u;
    (void)arg;
    for (int count = 0; count < 2; count++) {
        begin(&u, count ? BIG - 1000 : CIO_TO_END);
        char last[1000];
        net_fill(last, sizeof last, 7, BIG - (count ? 1000 : 0));
        assert_int_equal(cio_transport_write(u.f.t, last, sizeof last), 0);
        cio_transport_close(u.f.t);
        assert_int_equal(cio_transport_sendfile(u.f.t, u.f.file, 0, 1, NULL), CIO_ESHUTDOWN);
        assert_int_equal(file_check(&u.check), 0);
        assert_int_equal(u.check.received, count ? BIG : BIG + 1000);
        assert_int_equal(cio_await(u.sending), 0);
        end(&u);
        assert_int_equal(u.r.rc, 0);
    }
    return 0;
}

TEST(t64_t59_what_is_written_meanwhile_and_the_close_come_behind_the_file)
{
    assert_int_equal(run_quiet(written_behind, NULL), 0);
}

static int water(void *arg)
{
    struct under_way u;
    char data[100];
    (void)arg;
    begin(&u, BIG - 100);
    assert_int_equal(cio_transport_set_water(u.f.t, 100, 50), 0);
    net_fill(data, sizeof data, 7, BIG - 100);
    assert_int_equal(cio_transport_write(u.f.t, data, sizeof data), 0);
    assert_string_equal(noted(), "pause");
    assert_int_equal(cio_transport_write_eof(u.f.t), 0);
    assert_int_equal(cio_transport_sendfile(u.f.t, u.f.file, 0, 1, NULL), CIO_ESTATE);
    assert_int_equal(file_check(&u.check), 0);
    assert_int_equal(u.check.received, BIG);
    assert_int_equal(cio_await(u.sending), 0);
    settle_io();
    assert_string_equal(noted(), "pause resume");
    cio_transport_close(u.f.t);
    end(&u);
    return 0;
}

TEST(t57_a_protocol_that_writes_behind_a_file_is_paused_and_resumed)
{
    assert_int_equal(run_quiet(water, NULL), 0);
}

/* Canceled: the transport goes on with what was written behind it. */
static int canceled(void *arg)
{
    struct under_way u;
    (void)arg;
    for (int closing = 0; closing < 3; closing++) {
        begin(&u, BIG);
        if (closing == 1)
            cio_transport_close(u.f.t);
        assert_int_equal(cio_cancel(u.sending), 1);
        assert_int_equal(cio_await(u.sending), CIO_ECANCELED);
        assert_in_range(u.f.sent, 1, BIG - 1);
        if (closing == 2) {
            assert_int_equal(cio_transport_sendfile(u.f.t, u.f.file, 0, 0, NULL), 0);
            char *rest = malloc(BIG);
            assert_non_null(rest);
            net_fill(rest, BIG, 7, (size_t)u.f.sent);
            assert_int_equal(cio_transport_write(u.f.t, rest, (size_t)(BIG - u.f.sent)), 0);
            free(rest);
            cio_transport_close(u.f.t);
        } else if (closing == 0) {
            cio_transport_close(u.f.t);
        }
        if (closing < 2)
            recorder_wait(&u.r); /* although the peer has read nothing */
        assert_int_equal(file_check(&u.check), 0);
        assert_int_equal(u.check.received, closing == 2 ? BIG : u.f.sent);
        end(&u);
    }
    return 0;
}

TEST(t64_canceled_the_transport_goes_on)
{
    assert_int_equal(run_quiet(canceled, NULL), 0);
}

static int lost(void *arg)
{
    struct under_way u;
    (void)arg;
    begin(&u, BIG);
    cio_transport_abort(u.f.t);
    assert_int_equal(cio_await(u.sending), -ECONNABORTED);
    assert_in_range(u.f.sent, 1, BIG - 1);
    end(&u);
    assert_int_equal(u.r.rc, 0);

    begin(&u, BIG);
    close(u.r.peer); /* with unread bytes in it */
    int rc = cio_await(u.sending);
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
    recorder_wait(&u.r);
    assert_true(u.r.rc == -EPIPE || u.r.rc == -ECONNRESET || u.r.rc == 0);
    close(u.f.file);
    return 0;
}

TEST(sendfile_ends_with_the_transport)
{
    assert_int_equal(run_quiet(lost, NULL), 0);
}

static int wrong_callers(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    int file = file_make(10, 7);
    recorder_begin(&r);
    assert_int_equal(cio_transport_sendfile(r.transport, file, -1, 1, NULL), -EINVAL);
    assert_int_equal(cio_transport_sendfile(r.transport, -1, 0, 1, NULL), -EBADF);
    assert_int_equal(cio_transport_sendfile(r.transport, file, 0, CIO_TO_END, NULL), 10);
    cio_transport_close(r.transport);
    recorder_end(&r);
    assert_int_equal(r.rc, 0);

    close(file);
    return 0;
}

TEST(sendfile_of_a_bad_file_leaves_the_transport_alone)
{
    assert_int_equal(run_quiet(wrong_callers, NULL), 0);
}
