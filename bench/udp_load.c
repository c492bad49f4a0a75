/* The load of the UDP benches: `bench_udp_load PID PORT SECONDS echo|sink BYTES IN-FLIGHT`.
 *
 * echo: that many datagrams are on their way at a time, and come back. sink: the subject answers every 64th, so that
 * no more are on their way either, and none is dropped. The server's cost is read from its processor clock.
 */
#include "subject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, SIZE_MOST = 65507 };

static int fd;
static struct mmsghdr messages[BATCH];
static struct iovec pieces[BATCH];
static char *data;

static void prepare(size_t bytes)
{
    data = calloc(BATCH + 1, SIZE_MOST);
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){data + (size_t)i * SIZE_MOST, bytes};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
}

static void send_many(long n)
{
    while (n > 0) {
        int sent = sendmmsg(fd, messages, n < BATCH ? (unsigned)n : BATCH, 0);
        if (sent < 0 && errno != EAGAIN && errno != ECONNREFUSED)
            subject_fail("sendmmsg: %s", strerror(errno));
        n -= sent > 0 ? sent : 0;
    }
}

/* What came back; waits for something. */
static long receive_many(void)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 1000) <= 0)
        subject_fail("nothing comes back: a datagram was lost");
    int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    return n > 0 ? n : 0;
}

static int64_t server_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        subject_fail("the server is gone");
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long run_for(double seconds, long each, long in_flight)
{
    int64_t end = wall_ns() + (int64_t)(seconds * 1e9);
    long done = 0, out = 0;
    do {
        send_many(in_flight - out);
        long n = receive_many() * each;
        done += n;
        out = in_flight - n;
    } while (wall_ns() < end);
    while (out >= each) {
        long n = receive_many() * each;
        out -= n;
        done += n;
    }
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        subject_fail("usage: bench_udp_load PID PORT SECONDS echo|sink BYTES IN-FLIGHT");
    clockid_t clock;
    if (clock_getcpuclockid(atoi(argv[1]), &clock) != 0)
        subject_fail("no such process");
    double seconds = strtod(argv[3], NULL);
    long each = strcmp(argv[4], "sink") == 0 ? 64 : 1, in_flight = atol(argv[6]);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(argv[2])),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int room = 4 << 20;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        subject_fail("connect: %s", strerror(errno));
    prepare((size_t)atol(argv[5]));
    run_for(seconds / 4, each, in_flight);
    int64_t cpu = server_ns(clock), wall = wall_ns();
    long n = run_for(seconds, each, in_flight);
    wall = wall_ns() - wall;
    subject_value("cpu", (double)(server_ns(clock) - cpu) / (double)n);
    subject_value("rate", (double)n * 1e9 / (double)wall);
    return 0;
}
