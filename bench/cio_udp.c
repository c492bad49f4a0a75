/* Ourselves: datagrams that are sent back, by a task and by a protocol; and such that are counted. */
#include "subject.h"
#include "subject_cio.h"

#include <netinet/in.h>
#include <stdio.h>

enum { ROOM = 4 << 20 };

static const cio_datagram_options here = {
    .local_host = "127.0.0.1", .local_service = "0", .receive_buffer = ROOM};

static void tell_port(const cio_datagram *d)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    check(cio_datagram_sock_name(d, (struct sockaddr *)&a, &size), "cio_datagram_sock_name");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
}

/* Answers every nth. */
static int answer_task(void *arg)
{
    static char data[65536];
    long each = *(long *)arg;
    struct sockaddr_storage from;
    cio_datagram *d;
    check(cio_datagram_open(&d, &here), "cio_datagram_open");
    tell_port(d);
    socklen_t size = sizeof from;
    ssize_t n;
    for (long i = 1;
         (n = cio_datagram_receive(d, data, sizeof data, (struct sockaddr *)&from, &size)) >= 0;
         i++) {
        if (i % each == 0)
            check(cio_datagram_send(d, data, (size_t)n, (struct sockaddr *)&from, size),
                  "cio_datagram_send");
        size = sizeof from;
    }
    return (int)n;
}

void bench_echo_udp(long n)
{
    (void)n;
    run_main(answer_task, &(long){1});
}

void bench_sink_udp(long n)
{
    (void)n;
    run_main(answer_task, &(long){64});
}

static void made(void *self, cio_datagram *d)
{
    *(cio_datagram **)self = d;
}

static int answer(void *self, const void *data, size_t size, const struct sockaddr *from,
                  socklen_t from_size)
{
    return cio_datagram_send_nowait(*(cio_datagram **)self, data, size, from, from_size);
}

static int protocol_main(void *arg)
{
    static const cio_datagram_protocol protocol = {.connection_made = made,
                                                   .datagram_received = answer};
    static cio_datagram *d;
    (void)arg;
    check(cio_create_datagram_endpoint(NULL, &protocol, &d, &here), "cio_create_datagram_endpoint");
    tell_port(d);
    return cio_sleep(CIO_FOREVER);
}

void bench_echo_udp_protocol(long n)
{
    (void)n;
    run_main(protocol_main, NULL);
}
