/* Descriptors that are shared: by several tasks of a loop, by two loops in two threads. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

struct reader {
    int fd;
    ssize_t rc;
    char data[64];
};

static int recv_once(void *arg)
{
    struct reader *r = arg;
    r->rc = cio_sock_recv(r->fd, r->data, sizeof r->data);
    return 0;
}

/* ---- Several tasks, one descriptor (T67) ---- */

static int count_done(cio_task **tasks, int n)
{
    int done = 0;
    for (int i = 0; i < n; i++)
        done += cio_done(tasks[i]);
    return done;
}

static int several_readers(int fds[2])
{
    enum { N = 5 };
    struct reader readers[N];
    cio_task *tasks[N];
    for (int i = 0; i < N; i++) {
        readers[i] = (struct reader){.fd = fds[1]};
        tasks[i] = cio_create_task(recv_once, &readers[i]);
        assert_non_null(tasks[i]);
    }
    net_settle();
    for (int i = 0; i < N; i++) { /* each message has one receiver; the others wait on */
        assert_int_equal(count_done(tasks, N), i);
        assert_int_equal(cio_sock_sendall(fds[0], "m", 1), 0);
        while (count_done(tasks, N) == i)
            assert_int_equal(cio_sleep(0.001), 0);
        net_settle();
        assert_int_equal(count_done(tasks, N), i + 1);
    }
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(readers[i].rc, 1);
        assert_int_equal(readers[i].data[0], 'm');
    }
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(several_readers_on_one_descriptor)
{
    net_run_on_all(several_readers);
}

static int end_wakes_all(int fds[2])
{
    enum { N = 20 };
    struct reader readers[N];
    cio_task *tasks[N];
    for (int i = 0; i < N; i++) {
        readers[i] = (struct reader){.fd = fds[1], .rc = -1};
        tasks[i] = cio_create_task(recv_once, &readers[i]);
    }
    net_settle();
    cio_sock_close(fds[0]);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(readers[i].rc, 0);
    return cio_sock_close(fds[1]);
}

TEST(the_end_wakes_every_reader)
{
    net_run_on_all(end_wakes_all);
}

/* Datagrams that come together, several readers: an event for all of them, but each takes one. */
static int burst_main(void *arg)
{
    enum { N = 6 };
    int *fds = arg;
    struct reader readers[N];
    cio_task *tasks[N];
    for (int i = 0; i < N; i++) {
        readers[i] = (struct reader){.fd = fds[1]};
        tasks[i] = cio_create_task(recv_once, &readers[i]);
    }
    net_settle();
    for (int i = 0; i < N; i++)
        assert_int_equal(cio_sock_sendall(fds[0], "d", 1), 0);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(readers[i].rc, 1);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(a_burst_of_datagrams_serves_every_reader)
{
    int fds[2];
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_run(burst_main, fds), 0);
}

static int accept_once(void *arg)
{
    struct reader *r = arg;
    r->rc = cio_sock_accept(r->fd, NULL, NULL);
    return 0;
}

static int several_acceptors_main(void *arg)
{
    (void)arg;
    enum { N = 4 };
    struct sockaddr_in address;
    struct reader acceptors[N];
    cio_task *tasks[N];
    int listener = net_listen(&address, N), clients[N];
    for (int i = 0; i < N; i++) {
        acceptors[i] = (struct reader){.fd = listener};
        tasks[i] = cio_create_task(accept_once, &acceptors[i]);
    }
    net_settle();
    for (int i = 0; i < N; i++)
        clients[i] = net_connect_blocking(&address);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    for (int i = 0; i < N; i++) {
        assert_true(acceptors[i].rc >= 0);
        cio_sock_close((int)acceptors[i].rc);
        close(clients[i]);
    }
    return cio_sock_close(listener);
}

TEST(several_acceptors_on_one_listener)
{
    assert_int_equal(cio_run(several_acceptors_main, NULL), 0);
}

struct block {
    int fd;
    char letter;
};

/* A seqpacket per call, so that each is whole wherever it comes. */
static int send_blocks(void *arg)
{
    struct block *b = arg;
    char data[2000];
    memset(data, b->letter, sizeof data);
    for (int i = 0; i < 50; i++)
        assert_int_equal(cio_sock_sendall(b->fd, data, sizeof data), 0);
    return 0;
}

static int several_writers_main(void *arg)
{
    enum { N = 4 };
    int *fds = arg, counts[N] = {0};
    struct block blocks[N];
    cio_task *tasks[N];
    net_small_buffers(fds[0]);
    for (int i = 0; i < N; i++) {
        blocks[i] = (struct block){.fd = fds[0], .letter = (char)('a' + i)};
        tasks[i] = cio_create_task(send_blocks, &blocks[i]);
    }
    for (int i = 0; i < N * 50; i++) {
        char data[4000];
        assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 2000);
        counts[data[0] - 'a']++;
        for (int j = 1; j < 2000; j++)
            assert_int_equal(data[j], data[0]);
    }
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(counts[i], 50);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(several_writers_on_one_descriptor)
{
    int fds[2];
    net_pair(fds, SOCK_SEQPACKET);
    assert_int_equal(cio_run(several_writers_main, fds), 0);
}

/* ---- A watch beside a waiting task (T66, T67) ---- */

struct watch {
    cio_handle handle;
    int calls;
};

static void count_call(void *arg)
{
    struct watch *w = arg;
    w->calls++;
}

static int watched(int fds[2])
{
    cio_loop *loop = cio_get_running_loop();
    struct watch w = {.handle = CIO_HANDLE_INIT};
    struct reader r = {.fd = fds[1]};
    cio_task *reading = cio_create_task(recv_once, &r);
    net_settle();
    assert_int_equal(cio_add_reader(loop, fds[1], &w.handle, count_call, &w), 0);
    assert_int_equal(cio_sock_sendall(fds[0], "both", 4), 0);
    assert_int_equal(cio_await(reading), 0);
    assert_int_equal(r.rc, 4);

    net_settle();
    w.calls = 0;
    assert_int_equal(cio_sleep(0.01), 0);
    assert_int_equal(w.calls, 0); /* the task has taken the data: nothing to be called for */
    assert_int_equal(cio_sock_sendall(fds[0], "x", 1), 0);
    while (w.calls < 3) /* level-triggered: again and again */
        assert_int_equal(cio_sleep(0.001), 0);
    assert_int_equal(cio_remove_reader(loop, fds[1]), 1);
    assert_int_equal(recv_once(&r), 0);
    assert_int_equal(r.rc, 1);

    reading = cio_create_task(recv_once, &r); /* and without the watch a task waits as before */
    net_settle();
    assert_int_equal(cio_sock_sendall(fds[0], "alone", 5), 0);
    assert_int_equal(cio_await(reading), 0);
    assert_int_equal(r.rc, 5);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(t66_a_watch_beside_a_reader)
{
    net_run_on_all(watched);
}

/* ---- Two loops in two threads ---- */

enum { MESSAGES = 2000 };

struct listener_thread {
    pthread_t thread;
    int fd;
    int count;
    atomic_int *seen; /* how often each message was received, by either */
};

static int collect(void *arg)
{
    struct listener_thread *t = arg;
    for (;;) {
        int number = -1;
        assert_int_equal(cio_sock_recv(t->fd, &number, sizeof number), sizeof number);
        if (number == MESSAGES)
            return 0;
        atomic_fetch_add(&t->seen[number], 1);
        t->count++;
    }
}

static void *run_collect(void *arg)
{
    assert_int_equal(cio_run(collect, arg), 0);
    return NULL;
}

TEST(threads_share_a_descriptor_between_two_loops)
{
    static atomic_int seen[MESSAGES];
    struct listener_thread threads[2];
    int fds[2];
    net_pair(fds, SOCK_SEQPACKET);
    net_set_blocking(fds[0], true);
    net_set_blocking(fds[1], false);
    for (int i = 0; i < 2; i++) {
        threads[i] = (struct listener_thread){.fd = fds[1], .seen = seen};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, run_collect, &threads[i]), 0);
    }
    for (int i = 0; i < MESSAGES + 2; i++) {
        int number = i < MESSAGES ? i : MESSAGES; /* the last two end a loop each */
        net_write(fds[0], &number, sizeof number);
        if (i % 50 == 0)
            usleep(500); /* now and then both sleep */
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i].thread, NULL);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(threads[0].count + threads[1].count, MESSAGES);
    close(fds[0]);
    close(fds[1]);
}

/* ---- One thread accepts, another serves: what the loops remember of a number does not mix ---- */

enum { HANDED_OVER = 200 };

struct handover {
    int listener;
    int out, in; /* descriptors travel from one loop to the other as numbers */
    struct sockaddr_in address;
};

static int accept_and_hand_over(void *arg)
{
    struct handover *h = arg;
    for (int i = 0; i < HANDED_OVER; i++) {
        int fd = cio_sock_accept(h->listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(cio_sock_sendall(h->out, &fd, sizeof fd), 0);
    }
    return 0;
}

static int answer_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[16];
    ssize_t n;
    while ((n = cio_sock_recv(fd, data, sizeof data)) > 0)
        assert_int_equal(cio_sock_sendall(fd, data, (size_t)n), 0);
    assert_int_equal(n, 0);
    return cio_sock_close(fd);
}

static int serve_handed_over(void *arg)
{
    struct handover *h = arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < HANDED_OVER; i++) {
        int fd = -1;
        assert_int_equal(cio_sock_recv(h->in, &fd, sizeof fd), sizeof fd);
        assert_non_null(cio_group_start(&g, answer_one, (void *)(intptr_t)fd));
    }
    return cio_group_exit(&g, 0);
}

static void *run_server(void *arg)
{
    assert_int_equal(cio_run(serve_handed_over, arg), 0);
    return NULL;
}

static void *run_acceptor(void *arg)
{
    assert_int_equal(cio_run(accept_and_hand_over, arg), 0);
    return NULL;
}

TEST(threads_accept_here_and_serve_there)
{
    int fds[2];
    pthread_t acceptor, server;
    struct handover h = {0};
    net_pair(fds, SOCK_SEQPACKET);
    h.out = fds[0];
    h.in = fds[1];
    h.listener = net_listen(&h.address, 16);
    assert_int_equal(pthread_create(&acceptor, NULL, run_acceptor, &h), 0);
    assert_int_equal(pthread_create(&server, NULL, run_server, &h), 0);
    for (int i = 0; i < HANDED_OVER; i++) {
        char data[8];
        int fd = net_connect_blocking(&h.address);
        for (int round = 0; round < 3; round++) {
            net_write(fd, "hello", 5);
            assert_int_equal(net_read(fd, data, 5), 5);
            assert_memory_equal(data, "hello", 5);
        }
        close(fd);
    }
    pthread_join(acceptor, NULL);
    pthread_join(server, NULL);
    cio_sock_close(h.listener);
    close(fds[0]);
    close(fds[1]);
}
