/* By hand: recvmmsg(2) and sendmmsg(2) on an epoll loop. */
#include "subject.h"
#include "subject_epoll.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 32, ROOM = 4 << 20, SLOT = 65536 + 2112 };

static struct mmsghdr messages[BATCH];
static struct iovec pieces[BATCH];
static struct sockaddr_in from[BATCH];

static int open_here(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int room = ROOM, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("the socket is not bound");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static _Noreturn void serve(int each)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    int fd = open_here(), epoll = epoll_create1(EPOLL_CLOEXEC), count = 0;
    char *data = malloc((size_t)BATCH * SLOT);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){data + (size_t)i * SLOT, 65536};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                  .msg_namelen = sizeof from[i],
                                                  .msg_iov = &pieces[i],
                                                  .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL), answers = 0;
        for (int i = 0; i < n; i++) {
            pieces[i].iov_len = messages[i].msg_len;
            if (++count % each == 0)
                messages[answers++] = messages[i];
        }
        for (int sent = 0; sent < answers;) {
            int more = sendmmsg(fd, messages + sent, (unsigned)(answers - sent), 0);
            sent += more > 0 ? more : 0;
        }
        if (n < BATCH)
            epoll_wait(epoll, &e, 1, -1);
    }
}

void bench_echo_udp(long n)
{
    (void)n;
    serve(1);
}

void bench_sink_udp(long n)
{
    (void)n;
    serve(64);
}
