/* Sockets that fail: refused, reset, broken, closed under a waiting task, out of descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

/* ---- Connections that do not come about ---- */

static int refused_main(void *arg)
{
    (void)arg;
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    cio_sock_close(listener); /* now nobody listens on that port */

    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&address, sizeof address),
                     -ECONNREFUSED);
    return cio_sock_close(fd);
}

TEST(connect_refused)
{
    assert_int_equal(cio_run(refused_main, NULL), 0);
}

static void unix_address(struct sockaddr_un *address, socklen_t *size, const char *name)
{
    /* An abstract name: no file remains. */
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "cio-test-%d-%s",
                          (int)getpid(), name);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int unix_connect_main(void *arg)
{
    (void)arg;
    struct sockaddr_un address;
    socklen_t size;
    unix_address(&address, &size, "connect");
    int client = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(client, (struct sockaddr *)&address, size), -ECONNREFUSED);

    int listener = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(cio_sock_connect(client, (struct sockaddr *)&address, size), 0);

    /* The backlog is full: the kernel says so at once, and no event would tell when it is not. */
    int second = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(second, (struct sockaddr *)&address, size), -EAGAIN);

    int fd = cio_sock_accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(cio_sock_connect(client, (struct sockaddr *)&address, size), -EISCONN);
    assert_int_equal(cio_sock_connect(second, (struct sockaddr *)&address, size), 0);
    assert_int_equal(cio_sock_sendall(fd, "hi", 2), 0);
    char data[4];
    assert_int_equal(cio_sock_recv(client, data, sizeof data), 2);
    cio_sock_close(second);
    cio_sock_close(fd);
    cio_sock_close(listener);
    return cio_sock_close(client);
}

TEST(connect_to_a_unix_socket_and_to_its_full_backlog)
{
    assert_int_equal(cio_run(unix_connect_main, NULL), 0);
}

struct connecting {
    struct sockaddr_in address;
    int fd;
};

static int connect_task(void *arg)
{
    struct connecting *c = arg;
    return cio_sock_connect(c->fd, (struct sockaddr *)&c->address, sizeof c->address);
}

/* Fills the listener's queue until a connect does not complete at once; returns how many did. */
static size_t fill_backlog(const struct sockaddr_in *address, int *fds, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        struct connecting c = {.address = *address, .fd = cio_sock_open(AF_INET, SOCK_STREAM, 0)};
        int rc = cio_wait_for(connect_task, &c, 0.3);
        if (rc == CIO_ETIMEDOUT) {
            cio_sock_close(c.fd);
            return i;
        }
        assert_int_equal(rc, 0);
        fds[i] = c.fd;
    }
    return max;
}

static int full_backlog_main(void *arg)
{
    (void)arg;
    enum { MAX = 8 };
    int fds[MAX];
    struct connecting late = {0};
    int listener = net_listen(&late.address, 0);
    size_t n = fill_backlog(&late.address, fds, MAX);
    assert_true(n < MAX); /* the last one timed out: CIO_ETIMEDOUT, not the kernel's -ETIMEDOUT */

    late.fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    cio_task *connecting = cio_create_task(connect_task, &late);
    assert_int_equal(cio_sleep(0.05), 0);
    assert_false(cio_done(connecting));

    /* Room again: the kernel repeats its attempt within a few seconds. */
    for (size_t i = 0; i < n; i++) {
        int fd = cio_sock_accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        cio_sock_close(fd);
        cio_sock_close(fds[i]);
    }
    assert_int_equal(cio_await(connecting), 0);
    cio_sock_close(late.fd);
    return cio_sock_close(listener);
}

TEST_SLOW(connect_waits_while_the_backlog_is_full)
{
    assert_int_equal(cio_run(full_backlog_main, NULL), 0);
}

/* ---- Connections that break ---- */

static int reset(int fds[2])
{
    char data[8];
    net_reset(fds[0]);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), -ECONNRESET);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 0); /* once */
    assert_int_equal(cio_sock_sendall(fds[1], "x", 1), -EPIPE);    /* no SIGPIPE */
    return cio_sock_close(fds[1]);
}

TEST(reset_is_reported_and_does_not_kill)
{
    net_run_on(NET_TCP, NET_TCP, reset);
    net_run_on(NET_TCP_OWN, NET_TCP_OWN, reset);
}

struct io {
    int fd;
    ssize_t rc;
    char data[64];
};

static int recv_task(void *arg)
{
    struct io *io = arg;
    io->rc = cio_sock_recv(io->fd, io->data, sizeof io->data);
    return 0;
}

static int sendall_task(void *arg)
{
    static const char much[4000000];
    struct io *io = arg;
    io->rc = cio_sock_sendall(io->fd, much, sizeof much);
    return 0;
}

/* The reset comes while one task waits to read and another to write: both hear of it. */
static int reset_waiters(int fds[2])
{
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    struct io in = {.fd = fds[1]}, out = {.fd = fds[1]};
    cio_task *tasks[] = {cio_create_task(recv_task, &in), cio_create_task(sendall_task, &out)};
    assert_int_equal(cio_sleep(0.02), 0);
    assert_false(cio_done(tasks[0]) || cio_done(tasks[1]));
    net_reset(fds[0]);
    assert_int_equal(cio_gather(tasks, 2, 0), 0);
    /* The kernel gives the error to the first who asks; the other sees a finished connection. */
    assert_true(in.rc == -ECONNRESET || in.rc == 0);
    assert_true(out.rc == -ECONNRESET || out.rc == -EPIPE);
    return cio_sock_close(fds[1]);
}

TEST(reset_wakes_reader_and_writer)
{
    net_run_on(NET_TCP, NET_TCP, reset_waiters);
    net_run_on(NET_TCP_OWN, NET_TCP_OWN, reset_waiters);
}

static int sigpipes;
static void count_sigpipe(int signal_number)
{
    (void)signal_number;
    sigpipes++;
}

static int epipe_main(void *arg)
{
    int type = *(int *)arg;
    int fds[2];
    net_pair(fds, type);
    close(fds[0]);
    assert_int_equal(cio_sock_sendall(fds[1], "x", 1), -EPIPE);
    return cio_sock_close(fds[1]);
}

TEST(epipe_without_sigpipe)
{
    int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    signal(SIGPIPE, count_sigpipe);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cio_run(epipe_main, &types[i]), 0);
    assert_int_equal(sigpipes, 0);
}

/* ---- Closed while others wait ---- */

static int close_waiters(int fds[2])
{
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    struct io in[2] = {{.fd = fds[1]}, {.fd = fds[1]}}, out = {.fd = fds[1]};
    cio_task *tasks[] = {cio_create_task(recv_task, &in[0]), cio_create_task(recv_task, &in[1]),
                         cio_create_task(sendall_task, &out)};
    assert_int_equal(cio_sleep(0.02), 0);
    assert_int_equal(cio_sock_close(fds[1]), 0);
    int other = fcntl(fds[0], F_DUPFD_CLOEXEC, fds[1]);
    assert_int_equal(other, fds[1]); /* the number is in use again before they wake */
    assert_int_equal(cio_gather(tasks, 3, 0), 0);
    assert_int_equal(in[0].rc, -EBADF);
    assert_int_equal(in[1].rc, -EBADF);
    assert_int_equal(out.rc, -EBADF);
    cio_sock_close(other);
    return cio_sock_close(fds[0]);
}

TEST(close_gives_ebadf_to_those_who_wait)
{
    net_run_on_all(close_waiters);
}

static int accept_task(void *arg)
{
    struct io *io = arg;
    io->rc = cio_sock_accept(io->fd, NULL, NULL);
    return 0;
}

static int close_listener_main(void *arg)
{
    (void)arg;
    struct sockaddr_in address;
    struct io io = {.fd = net_listen(&address, 4)};
    cio_task *accepting = cio_create_task(accept_task, &io);
    net_settle();
    assert_int_equal(cio_sock_close(io.fd), 0);
    assert_int_equal(cio_await(accepting), 0);
    assert_int_equal(io.rc, -EBADF);
    return 0;
}

TEST(close_gives_ebadf_to_an_accept)
{
    assert_int_equal(cio_run(close_listener_main, NULL), 0);
}

/* The other end shut down for reading by ourselves: a waiting recv sees the end. */
static int shut_down(int fds[2])
{
    struct io in = {.fd = fds[1], .rc = -1};
    cio_task *reading = cio_create_task(recv_task, &in);
    net_settle();
    assert_int_equal(shutdown(fds[1], SHUT_RDWR), 0);
    assert_int_equal(cio_await(reading), 0);
    assert_int_equal(in.rc, 0);
    assert_int_equal(cio_sock_sendall(fds[1], "x", 1), -EPIPE);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(own_shutdown_wakes_a_reader)
{
    net_run_on_all(shut_down);
}

/* ---- Out of descriptors ---- */

static int emfile_main(void *arg)
{
    (void)arg;
    enum { CONNECTIONS = 3 };
    struct sockaddr_in address;
    int listener = net_listen(&address, CONNECTIONS), clients[CONNECTIONS], fillers[256];
    for (int i = 0; i < CONNECTIONS; i++) {
        char number = (char)('0' + i);
        clients[i] = net_connect_blocking(&address);
        net_write(clients[i], &number, 1);
    }
    int n = 0;
    while (n < 256 && (fillers[n] = dup(listener)) >= 0)
        n++;
    assert_true(n < 256);

    for (int i = 0; i < 3; i++) /* at once each time, nothing spins or waits */
        assert_int_equal(cio_sock_accept(listener, NULL, NULL), -EMFILE);
    assert_int_equal(cio_sock_open(AF_INET, SOCK_STREAM, 0), -EMFILE);

    /* One descriptor free: no connection was lost, and they come in their order. */
    close(fillers[--n]);
    for (int i = 0; i < CONNECTIONS; i++) {
        char number = 0;
        int fd = cio_sock_accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(cio_sock_recv(fd, &number, 1), 1);
        assert_int_equal(number, '0' + i);
        if (i < CONNECTIONS - 1)
            assert_int_equal(cio_sock_accept(listener, NULL, NULL), -EMFILE);
        cio_sock_close(fd);
        close(clients[i]);
        fillers[n] = dup(listener); /* takes the client's */
        assert_true(fillers[n++] >= 0);
    }
    while (n > 0)
        close(fillers[--n]);
    return cio_sock_close(listener);
}

TEST(accept_out_of_descriptors_loses_no_connection)
{
    if (test_is_valgrind())
        test_skip("valgrind takes the connection before it says that there is no descriptor");
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(cio_run(emfile_main, NULL), 0);
}

/* ---- Signals ---- */

static volatile sig_atomic_t alarms;
static void count_alarm(int signal_number)
{
    (void)signal_number;
    alarms = alarms + 1;
}

static int recv_slowly_main(void *arg)
{
    int fd = *(int *)arg;
    size_t got = 0;
    for (;;) {
        char data[16];
        ssize_t n = cio_sock_recv(fd, data, sizeof data);
        if (n == 0)
            break;
        assert_true(n > 0); /* never -EINTR */
        net_check(data, (size_t)n, 9, got);
        got += (size_t)n;
    }
    assert_int_equal(got, 100);
    double before = cio_time(cio_get_running_loop());
    assert_int_equal(cio_sleep(0.02), 0);
    assert_true(cio_time(cio_get_running_loop()) - before >= 0.02);
    return 0;
}

/* A hundred bytes, one every millisecond, while a timer interrupts us two times as often. */
static void recv_under_signals(int flags)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < 100; i++) {
            char c;
            net_fill(&c, 1, 9, i);
            usleep(1000);
            net_write(fds[0], &c, 1);
        }
        _exit(0);
    }
    close(fds[0]);
    struct sigaction action = {.sa_handler = count_alarm, .sa_flags = flags};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval often = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}};
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);

    assert_int_equal(cio_run(recv_slowly_main, &fds[1]), 0);
    assert_true(alarms > 0);
    memset(&often, 0, sizeof often);
    setitimer(ITIMER_REAL, &often, NULL);
    close(fds[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

TEST(signals_without_sa_restart)
{
    recv_under_signals(0);
}

TEST(signals_with_sa_restart)
{
    recv_under_signals(SA_RESTART);
}
