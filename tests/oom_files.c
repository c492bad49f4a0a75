/*
 * Files to streams and sockets, and streams to streams, while every allocation fails in its turn:
 * what arrives is a beginning of what was sent, and all of it if the call said so.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cio/relay.h>
#include <cio/sendfile.h>

#include "files.h"
#include "memory.h"
#include "net.h"
#include "streams.h"
#include "test.h"

enum { MUCH = 300000 };

/* Who cannot go on for want of memory hangs up, so that nobody waits for it. */
static int check_or_hang_up(void *arg)
{
    struct file_check *check = arg;
    int rc = file_check(check);
    if (rc < 0)
        shutdown(check->fd, SHUT_RDWR);
    return rc;
}

static int send_or_hang_up(void *arg)
{
    struct sending *all = arg;
    int rc = send_bytes(all);
    shutdown(all->fd, rc < 0 ? SHUT_RDWR : SHUT_WR);
    return rc;
}

static void expect_out_of_memory_if_any(int64_t rc)
{
    assert_true(rc >= 0 || rc == -ENOMEM || rc == -EPIPE || rc == -ECONNRESET);
}

/* ---- files ---- */

static int64_t send_file(cio_stream *s, int fd, int64_t *sent)
{
    int file = file_make(MUCH, 7);
    cio_sendfile_options options = {.sent = sent};
    int64_t rc = s ? cio_sendfile_with(s, file, 0, CIO_TO_END, &options)
                   : cio_sock_sendfile(fd, file, 0, CIO_TO_END, &options);
    close(file);
    return rc;
}

static int file_to(bool stream)
{
    int fds[2], opened = 0;
    int64_t sent = -1, rc = -ENOMEM;
    cio_stream *s = NULL;
    net_pair(fds, SOCK_STREAM);
    struct file_check check = {.fd = fds[1], .seed = 7};
    cio_task *checking = cio_create_task(check_or_hang_up, &check);
    if (stream && (opened = cio_open_stream(&s, fds[0], NULL)) < 0)
        rc = opened;
    else if (checking)
        rc = send_file(s, fds[0], &sent);
    if (s)
        cio_abort(s);
    else
        close(fds[0]);
    int checked = checking ? cio_await(checking) : -ENOMEM;
    close(fds[1]);
    expect_out_of_memory_if_any(rc);
    if (rc >= 0 && checked == 0)
        assert_true(rc == MUCH && sent == MUCH && check.received == MUCH);
    return rc < 0 ? (int)rc : checked;
}

static int file_to_stream(void *arg)
{
    (void)arg;
    return file_to(true);
}

TEST_SLOW(oom_file_to_stream)
{
    memory_torture(file_to_stream);
}

static int file_to_socket(void *arg)
{
    (void)arg;
    return file_to(false);
}

TEST_SLOW(oom_file_to_socket)
{
    memory_torture(file_to_socket);
}

/* ---- relays ---- */

static int64_t relay(const int from[2], const int to[2], int64_t *relayed)
{
    cio_stream *source = NULL, *target = NULL;
    cio_relay_options options = {.relayed = relayed};
    int64_t rc = cio_open_stream(&source, from[0], NULL);
    if (rc < 0)
        close(from[0]);
    int64_t opened = cio_open_stream(&target, to[0], NULL);
    if (opened < 0)
        close(to[0]);
    if (rc == 0 && opened == 0)
        rc = cio_relay(source, target, &options);
    if (source)
        cio_abort(source);
    if (target)
        cio_close(target);
    return rc < 0 ? rc : opened < 0 ? opened : rc;
}

static int stream_to_stream(void *arg)
{
    int from[2], to[2];
    int64_t relayed = -1, rc = -ENOMEM;
    (void)arg;
    net_pair(from, SOCK_STREAM);
    net_pair(to, SOCK_STREAM);
    struct sending all = {.fd = from[1], .size = MUCH, .seed = 7};
    struct file_check check = {.fd = to[1], .seed = 7};
    cio_task *sending = cio_create_task(send_or_hang_up, &all);
    cio_task *checking = cio_create_task(check_or_hang_up, &check);
    if (sending && checking) {
        rc = relay(from, to, &relayed);
    } else {
        close(from[0]);
        close(to[0]);
    }
    int sent = sending ? cio_await(sending) : -ENOMEM;
    int checked = checking ? cio_await(checking) : -ENOMEM;
    close(from[1]);
    close(to[1]);
    expect_out_of_memory_if_any(rc);
    if (rc >= 0 && sent == 0 && checked == 0)
        assert_true(rc == MUCH && relayed == MUCH && check.received == MUCH);
    return rc < 0 ? (int)rc : sent < 0 ? sent : checked;
}

TEST_SLOW(oom_stream_to_stream)
{
    memory_torture(stream_to_stream);
}
