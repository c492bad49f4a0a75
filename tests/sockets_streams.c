/*
 * Streams of many bytes, each byte checked: random sizes, tiny buffers, slow peers that are tasks,
 * threads and processes.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

/* ---- Much data, small buffers ---- */

struct transfer {
    int fd;
    uint32_t seed;
    size_t total;
    size_t max_chunk;
};

static int send_stream(void *arg)
{
    struct transfer *t = arg;
    uint32_t random = t->seed + 1;
    char *data = malloc(t->max_chunk);
    assert_non_null(data);
    for (size_t sent = 0; sent < t->total;) {
        size_t size = net_random(&random, t->max_chunk);
        if (size > t->total - sent)
            size = t->total - sent;
        net_fill(data, size, t->seed, sent);
        assert_int_equal(cio_sock_sendall(t->fd, data, size), 0);
        sent += size;
        if (random % 8 == 0)
            cio_yield();
    }
    free(data);
    return shutdown(t->fd, SHUT_WR);
}

static int recv_stream(void *arg)
{
    struct transfer *t = arg;
    uint32_t random = t->seed + 2;
    char *data = malloc(t->max_chunk);
    assert_non_null(data);
    size_t got = 0;
    for (ssize_t n = 1; n > 0; got += (size_t)n) {
        n = cio_sock_recv(t->fd, data, net_random(&random, t->max_chunk));
        assert_true(n >= 0);
        net_check(data, (size_t)n, t->seed, got);
        if (random % 16 == 0)
            cio_sleep(0.0001);
    }
    assert_int_equal(got, t->total);
    free(data);
    return 0;
}

/* Both directions at once; on each descriptor one task reads while another writes. */
static int duplex(int fds[2])
{
    size_t total = (size_t)test_scale(1000000);
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    struct transfer there = {fds[0], 1, total, 20000}, arrival = {fds[1], 1, total, 3000};
    struct transfer back = {fds[1], 2, total, 500}, return_home = {fds[0], 2, total, 7000};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(cio_group_start(&g, send_stream, &there));
    assert_non_null(cio_group_start(&g, recv_stream, &arrival));
    assert_non_null(cio_group_start(&g, send_stream, &back));
    assert_non_null(cio_group_start(&g, recv_stream, &return_home));
    assert_int_equal(cio_group_exit(&g, 0), 0);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(streams_in_both_directions_with_tiny_buffers)
{
    net_run_on_all(duplex);
}

/* ---- An echo server, with clients of every kind ---- */

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[777];
    ssize_t n;
    while ((n = cio_sock_recv(fd, data, sizeof data)) > 0)
        assert_int_equal(cio_sock_sendall(fd, data, (size_t)n), 0);
    assert_int_equal(n, 0);
    return cio_sock_close(fd);
}

struct echo_server {
    int listener;
    size_t n_clients;
    struct sockaddr_in address;
};

static int serve(void *arg)
{
    struct echo_server *s = arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (size_t i = 0; i < s->n_clients; i++) {
        int fd = cio_sock_accept(s->listener, NULL, NULL);
        assert_true(fd >= 0);
        if (i % 2)
            net_small_buffers(fd);
        assert_non_null(cio_group_start(&g, echo, (void *)(intptr_t)fd));
    }
    return cio_group_exit(&g, 0);
}

/* A peer that blocks, dawdles, and knows nothing of loops. */
static void talk_blocking(const struct sockaddr_in *address, uint32_t seed, size_t total)
{
    int fd = net_connect_blocking(address);
    uint32_t random = seed;
    char data[4000], answer[4000];
    for (size_t done = 0; done < total;) {
        size_t size = net_random(&random, sizeof data);
        net_fill(data, size, seed, done);
        net_write(fd, data, size / 2);
        if (random % 4 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        net_write(fd, data + size / 2, size - size / 2);
        assert_int_equal(net_read(fd, answer, size), size);
        net_check(answer, size, seed, done);
        done += size;
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(net_read(fd, answer, 1), 0);
    close(fd);
}

struct blocking_client {
    pthread_t thread;
    uint32_t seed;
    const struct sockaddr_in *address;
};

static void *blocking_client(void *arg)
{
    struct blocking_client *c = arg;
    talk_blocking(c->address, c->seed, (size_t)test_scale(200000));
    return NULL;
}

TEST(threads_echo_to_blocking_threads)
{
    enum { N = 6 };
    struct echo_server s = {.n_clients = N};
    struct blocking_client clients[N];
    s.listener = net_listen(&s.address, N);
    for (uint32_t i = 0; i < N; i++) {
        clients[i] = (struct blocking_client){.seed = i + 1, .address = &s.address};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, blocking_client, &clients[i]), 0);
    }
    assert_int_equal(cio_run(serve, &s), 0);
    for (int i = 0; i < N; i++)
        pthread_join(clients[i].thread, NULL);
    cio_sock_close(s.listener);
}

TEST(echo_to_other_processes)
{
    enum { N = 4 };
    struct echo_server s = {.n_clients = N};
    pid_t children[N];
    s.listener = net_listen(&s.address, N);
    for (uint32_t i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            talk_blocking(&s.address, i + 1, 50000);
            _exit(0);
        }
    }
    assert_int_equal(cio_run(serve, &s), 0);
    for (int i = 0; i < N; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    cio_sock_close(s.listener);
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(cio_sock_connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

struct client {
    struct echo_server *server;
    uint32_t seed;
};

static int talk(void *arg)
{
    struct client *c = arg;
    uint32_t seed = c->seed;
    char data[100], answer[100];
    int fd = connect_to(&c->server->address);
    for (size_t round = 0; round < 20; round++) {
        size_t size = net_random(&seed, sizeof data), got = 0;
        net_fill(data, size, seed, round);
        assert_int_equal(cio_sock_sendall(fd, data, size), 0);
        while (got < size) {
            ssize_t n = cio_sock_recv(fd, answer + got, sizeof answer - got);
            assert_true(n > 0);
            got += (size_t)n;
        }
        assert_int_equal(got, size);
        assert_memory_equal(data, answer, size);
    }
    return cio_sock_close(fd);
}

static int many_main(void *arg)
{
    struct echo_server *s = arg;
    struct client *clients = calloc(s->n_clients, sizeof *clients);
    assert_non_null(clients);
    for (size_t i = 0; i < s->n_clients; i++)
        clients[i] = (struct client){.server = s, .seed = (uint32_t)i + 1};
    cio_task *server = cio_create_task(serve, s);
    assert_non_null(server);
    assert_int_equal(cio_map(talk, clients, s->n_clients, sizeof *clients, 100), 0);
    assert_int_equal(cio_await(server), 0);
    free(clients);
    return 0;
}

TEST(many_connections_at_once)
{
    struct echo_server s = {.n_clients = (size_t)test_scale(2000)};
    s.listener = net_listen(&s.address, 128);
    assert_int_equal(cio_run(many_main, &s), 0);
    cio_sock_close(s.listener);
}
