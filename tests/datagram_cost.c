/* What datagrams cost: one system call for many of them, where there are many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

enum { BURST = 25 };

static bool by_protocol;

struct echo {
    cio_datagram *d;
    int left;
};

static int answer(void *self, const void *data, size_t size, const struct sockaddr *from,
                  socklen_t from_size)
{
    struct echo *e = self;
    e->left--;
    return cio_datagram_send_nowait(e->d, data, size, from, from_size);
}

static int answer_task(void *arg)
{
    struct echo *e = arg;
    char data[100];
    struct sockaddr_storage from;
    for (; e->left > 0; e->left--) {
        socklen_t size = sizeof from;
        ssize_t n = cio_datagram_receive(e->d, data, sizeof data, (struct sockaddr *)&from, &size);
        assert_true(n >= 0);
        int rc = cio_datagram_send(e->d, data, (size_t)n, (struct sockaddr *)&from, size);
        assert_int_equal(rc, 0);
    }
    return 0;
}

/* So many bursts go there and come back. The peer is a plain socket, and uses write(2), read(2). */
static int bursts(void *arg)
{
    static const cio_datagram_protocol answering = {.datagram_received = answer};
    int n = *(int *)arg;
    struct echo e = {.left = n * BURST};
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char data[100] = {0};
    const cio_datagram_options here = {.local_host = "127.0.0.1", .local_service = "0"};
    cio_task *answering_task = NULL;
    if (by_protocol) {
        assert_int_equal(cio_create_datagram_endpoint(&e.d, &answering, &e, &here), 0);
    } else {
        assert_int_equal(cio_datagram_open(&e.d, &here), 0);
        answering_task = cio_create_task(answer_task, &e);
    }
    assert_int_equal(cio_datagram_sock_name(e.d, (struct sockaddr *)&address, &size), 0);
    int peer = cio_sock_open(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, size), 0);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < BURST; k++)
            assert_int_equal(write(peer, data, 50), 50);
        for (int k = 0; k < BURST; k++) {
            while (read(peer, data, sizeof data) < 0)
                assert_int_equal(cio_yield(), 0);
        }
    }
    if (answering_task)
        assert_int_equal(cio_await(answering_task), 0);
    cio_datagram_close(e.d);
    return cio_sock_close(peer);
}

static void run_bursts(void)
{
    const char *number = getenv("CIO_TEST_BURSTS");
    int n = number ? atoi(number) : 10;
    assert_int_equal(cio_run(bursts, &n), 0);
}

/* Also the programs that are run under strace below. */
TEST(bursts_to_a_task)
{
    run_bursts();
}

TEST(bursts_to_a_protocol)
{
    by_protocol = true;
    run_bursts();
}

struct counts {
    int receives, sends;
};

static struct counts trace_bursts(const char *test, int n)
{
    char path[] = "/tmp/cio-strace-XXXXXX", self[512] = "", number[16], line[1024];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf(number, sizeof number, "%d", n);
    pid_t child = fork();
    if (child == 0) {
        setenv("CIO_TEST_BURSTS", number, 1);
        freopen("/dev/null", "w", stdout);
        freopen("/dev/null", "w", stderr);
        execlp("strace", "strace", "-f", "-o", path, self, test, NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    struct counts counts = {0};
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        counts.receives += strstr(line, " recv") != NULL;
        counts.sends += strstr(line, " send") != NULL;
    }
    fclose(file);
    unlink(path);
    if (status != 0)
        test_skip("strace is not there, or may not trace");
    return counts;
}

static void check_cost(const char *test)
{
    if (test_is_slow())
        test_skip("a sanitizer or an emulator makes system calls of its own");
    enum { FEW = 10, MANY = 60 };
    struct counts few = trace_bursts(test, FEW), many = trace_bursts(test, MANY);
    int receives = many.receives - few.receives, sends = many.sends - few.sends;
    printf("%d bursts of %d: %d receives, %d sends\n", MANY - FEW, BURST, receives, sends);
    assert_int_equal(receives, MANY - FEW);
    assert_int_equal(sends, MANY - FEW);
}

TEST(one_receive_and_one_send_for_a_burst_to_a_task)
{
    check_cost("bursts_to_a_task");
}

TEST(one_receive_and_one_send_for_a_burst_to_a_protocol)
{
    check_cost("bursts_to_a_protocol");
}
