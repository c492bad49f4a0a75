/*
 * What a socket call costs: no system call too many, and no task that keeps the loop for itself
 * because its calls never have to wait.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

/* ---- Echo, counted by strace ---- */

enum { CONNECTIONS = 8 };

struct conversation {
    int listener;
    struct sockaddr_in address;
    int requests;
};

static int answer(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[256];
    ssize_t n;
    while ((n = cio_sock_recv(fd, data, sizeof data)) > 0)
        assert_int_equal(cio_sock_sendall(fd, data, (size_t)n), 0);
    return cio_sock_close(fd);
}

static int answer_all(void *arg)
{
    struct conversation *c = arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = cio_sock_accept(c->listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_non_null(cio_group_start(&g, answer, (void *)(intptr_t)fd));
    }
    return cio_group_exit(&g, 0);
}

static int ask(void *arg)
{
    struct conversation *c = arg;
    char data[256];
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&c->address, sizeof c->address), 0);
    for (int i = 0; i < c->requests; i++) {
        assert_int_equal(cio_sock_sendall(fd, "request", 7), 0);
        assert_int_equal(cio_sock_recv(fd, data, sizeof data), 7);
    }
    return cio_sock_close(fd);
}

static int conversation_main(void *arg)
{
    struct conversation *c = arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_group_start(&g, answer_all, c);
    for (int i = 0; i < CONNECTIONS; i++)
        cio_group_start(&g, ask, c);
    return cio_group_exit(&g, 0);
}

/* Also the program that is run under strace below: $CIO_TEST_REQUESTS for each connection. */
TEST(an_echo_of_a_few_requests)
{
    const char *requests = getenv("CIO_TEST_REQUESTS");
    struct conversation c = {.requests = requests ? atoi(requests) : 10};
    c.listener = net_listen(&c.address, CONNECTIONS);
    assert_int_equal(cio_run(conversation_main, &c), 0);
    cio_sock_close(c.listener);
}

struct counts {
    int receives, sends, polls, controls, others;
};

static void count_call(struct counts *counts, const char *name)
{
    if (strncmp(name, "recv", 4) == 0 || strncmp(name, "read", 4) == 0)
        counts->receives++;
    else if (strncmp(name, "send", 4) == 0 || strncmp(name, "write", 5) == 0)
        counts->sends++;
    else if (strncmp(name, "epoll_ctl", 9) == 0)
        counts->controls++;
    else if (strncmp(name, "epoll_", 6) == 0)
        counts->polls++;
    else
        counts->others++;
}

static struct counts read_trace(const char *path)
{
    struct counts counts = {0};
    char line[1024], name[64];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*d %63[a-z0-9_](", name) == 1 && !strstr(line, "resumed>"))
            count_call(&counts, name);
    }
    fclose(file);
    return counts;
}

static struct counts trace_echo(int requests)
{
    char path[] = "/tmp/cio-strace-XXXXXX", self[512] = "", number[16];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf(number, sizeof number, "%d", requests);
    pid_t child = fork();
    if (child == 0) {
        setenv("CIO_TEST_REQUESTS", number, 1);
        freopen("/dev/null", "w", stdout);
        freopen("/dev/null", "w", stderr);
        execlp("strace", "strace", "-f", "-o", path, self, "an_echo_of_a_few_requests", NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    struct counts counts = read_trace(path);
    unlink(path);
    if (status != 0)
        test_skip("strace is not there, or may not trace");
    return counts;
}

/*
 * Two runs that differ by a number of requests: so much does one of them cost, at either end one
 * call to receive and one to send. A receive in vain would be seen here.
 */
TEST(one_receive_and_one_send_for_a_request)
{
    if (test_is_slow())
        test_skip("a sanitizer or an emulator makes system calls of its own");
    enum { FEW = 10, MANY = 110, MORE = (MANY - FEW) * CONNECTIONS };
    struct counts few = trace_echo(FEW), many = trace_echo(MANY);
    printf("%d requests: %d receives, %d sends, %d polls, %d epoll_ctl (%d in all), %d others\n",
           MORE, many.receives - few.receives, many.sends - few.sends, many.polls - few.polls,
           many.controls - few.controls, many.controls, many.others - few.others);
    assert_int_equal(many.sends - few.sends, 2 * MORE);
    assert_in_range(many.receives - few.receives, 2 * MORE, 2 * MORE + MORE / 50);
    assert_in_range(many.polls - few.polls, 1, 2 * MORE + MORE / 50);
    assert_int_equal(many.controls, few.controls);
    assert_in_range(many.controls, 1, 2 * CONNECTIONS + 4); /* once for each end, at most */
    assert_in_range(many.others - few.others + 8, 0, 16);
}

/* ---- A call that waits lets the loop sleep ---- */

/* Polls that could block: a loop that spins has none, or thousands. TCP's pace may wake it some. */
static int sleeps;

static void count_sleep(void *arg)
{
    (void)arg;
    sleeps++;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void assert_loop_sleeps(void)
{
    cio_loop *loop = cio_get_running_loop();
    net_settle();
    assert_int_equal(cio_set_poll_hooks(loop, count_sleep, do_nothing, NULL), 0);
    sleeps = 0;
    assert_int_equal(cio_sleep(0.03), 0);
    assert_in_range(sleeps, 1, 100);
    assert_int_equal(cio_set_poll_hooks(loop, NULL, NULL, NULL), 0);
}

struct waiting {
    int fd;
    struct sockaddr_in address;
};

static int wait_in_recv(void *arg)
{
    char data[8];
    return (int)cio_sock_recv(((struct waiting *)arg)->fd, data, sizeof data);
}

static int wait_in_recvfrom(void *arg)
{
    char data[8];
    return (int)cio_sock_recvfrom(((struct waiting *)arg)->fd, data, sizeof data, NULL, NULL);
}

static int wait_in_accept(void *arg)
{
    return cio_sock_accept(((struct waiting *)arg)->fd, NULL, NULL);
}

static int wait_in_sendall(void *arg)
{
    static const char much[8000000];
    return cio_sock_sendall(((struct waiting *)arg)->fd, much, sizeof much);
}

static int wait_in_sendto(void *arg)
{
    for (;;) {
        ssize_t n = cio_sock_sendto(((struct waiting *)arg)->fd, "full?", 5, NULL, 0);
        if (n < 0)
            return (int)n;
    }
}

static int wait_in_connect(void *arg)
{
    struct waiting *w = arg;
    for (;;) { /* the last one finds the queue full */
        int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        int rc = cio_sock_connect(fd, (struct sockaddr *)&w->address, sizeof w->address);
        cio_sock_close(fd);
        if (rc < 0)
            return rc;
    }
}

static void sleep_beside(cio_coroutine *fn, struct waiting *w)
{
    cio_task *task = cio_create_task(fn, w);
    assert_int_equal(cio_sleep(0.03), 0); /* time to fill what must be full before it waits */
    assert_loop_sleeps();
    assert_false(cio_done(task));
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
}

static int sleep_beside_streams(int fds[2])
{
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    struct waiting w = {.fd = fds[0]};
    sleep_beside(wait_in_recv, &w);
    sleep_beside(wait_in_sendall, &w);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

static int sleep_beside_others(void *arg)
{
    (void)arg;
    int fds[2];
    struct waiting w;
    net_pair(fds, SOCK_DGRAM);
    w.fd = fds[0];
    sleep_beside(wait_in_recvfrom, &w);
    sleep_beside(wait_in_sendto, &w);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    w.fd = net_listen(&w.address, 0);
    sleep_beside(wait_in_accept, &w);
    sleep_beside(wait_in_connect, &w);
    return cio_sock_close(w.fd);
}

TEST(a_waiting_call_lets_the_loop_sleep)
{
    net_run_on_all(sleep_beside_streams);
    assert_int_equal(cio_run(sleep_beside_others, NULL), 0);
}

/* Level-triggered for the watch: what a call has waited for besides must not stay asked for. */
static int sleep_beside_watch(int fds[2])
{
    cio_loop *loop = cio_get_running_loop();
    cio_handle handle = CIO_HANDLE_INIT;
    struct waiting w = {.fd = fds[0]};
    assert_int_equal(cio_add_reader(loop, fds[0], &handle, do_nothing, NULL), 0);
    assert_loop_sleeps();
    cio_task *sending = cio_create_task(wait_in_sendall, &w);
    while (!cio_done(sending)) {
        static char data[100000];
        assert_true(cio_sock_recv(fds[1], data, sizeof data) > 0);
    }
    assert_int_equal(cio_await(sending), 0);
    assert_loop_sleeps();
    assert_int_equal(cio_remove_reader(loop, fds[0]), 1);
    assert_loop_sleeps();
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(a_watch_beside_a_call_lets_the_loop_sleep)
{
    net_run_on_all(sleep_beside_watch);
}

/* ---- A call that always succeeds at once shares the loop all the same (T3) ---- */

struct greedy {
    int fd;
    struct sockaddr_in address;
    long calls;
    bool stop;
};

static int stop_greedy(void *arg)
{
    struct greedy *g = arg;
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_sleep(0.005), 0);
    g->stop = true;
    return 0;
}

static int recv_the_end_for_ever(void *arg)
{
    struct greedy *g = arg;
    char c;
    for (; !g->stop; g->calls++)
        assert_int_equal(cio_sock_recv(g->fd, &c, 1), 0);
    return 0;
}

static int recv_bytes_for_ever(void *arg)
{
    struct greedy *g = arg;
    char c;
    for (; !g->stop; g->calls++)
        assert_int_equal(cio_sock_recv(g->fd, &c, 1), 1);
    return 0;
}

static int sendto_for_ever(void *arg)
{
    struct greedy *g = arg;
    for (; !g->stop; g->calls++)
        assert_int_equal(
            cio_sock_sendto(g->fd, "x", 1, (struct sockaddr *)&g->address, sizeof g->address), 1);
    return 0;
}

static void run_beside(struct greedy *g, cio_coroutine *fn)
{
    cio_task *tasks[] = {cio_create_task(fn, g), cio_create_task(stop_greedy, g)};
    assert_int_equal(cio_gather(tasks, 2, 0), 0);
    assert_true(g->calls > 0);
}

static int greedy_end_main(void *arg)
{
    (void)arg;
    int fds[2];
    net_tcp_pair(fds);
    cio_sock_close(fds[0]);
    run_beside(&(struct greedy){.fd = fds[1]}, recv_the_end_for_ever);
    return cio_sock_close(fds[1]);
}

TEST(a_greedy_reader_of_an_end_starves_nobody)
{
    assert_int_equal(cio_run(greedy_end_main, NULL), 0);
}

static int greedy_sender_main(void *arg)
{
    (void)arg;
    struct greedy g = {0};
    int sink = net_udp(&g.address);
    g.fd = cio_sock_open(AF_INET, SOCK_DGRAM, 0);
    run_beside(&g, sendto_for_ever);
    cio_sock_close(sink);
    return cio_sock_close(g.fd);
}

TEST(a_greedy_sender_starves_nobody)
{
    assert_int_equal(cio_run(greedy_sender_main, NULL), 0);
}

static void *flood(void *arg)
{
    int fd = *(int *)arg;
    static const char data[65536];
    while (send(fd, data, sizeof data, MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

static int greedy_bytes_main(void *arg)
{
    int fd = *(int *)arg;
    run_beside(&(struct greedy){.fd = fd}, recv_bytes_for_ever);
    return cio_sock_close(fd);
}

TEST(threads_flood_and_a_greedy_reader_starve_nobody)
{
    int fds[2];
    pthread_t thread;
    net_pair(fds, SOCK_STREAM);
    net_set_blocking(fds[0], true);
    assert_int_equal(pthread_create(&thread, NULL, flood, &fds[0]), 0);
    assert_int_equal(cio_run(greedy_bytes_main, &fds[1]), 0);
    pthread_join(thread, NULL);
    close(fds[0]);
}
