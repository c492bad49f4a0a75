/* libuv: datagrams by recvmmsg, each sent back by uv_udp_try_send(), as an echo server would. */
#include "subject.h"
#include "uv_udp.h"

#include <netinet/in.h>
#include <stdio.h>
#include <uv.h>

enum { ROOM = 4 << 20, BUFFER = 20 * 65536 }; /* as many as libuv receives at a time */

static uv_udp_t socket_handle;
static char buffer[BUFFER];
static long each, count;

static void give_buffer(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    (void)handle, (void)hint;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void received(uv_udp_t *handle, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                     unsigned flags)
{
    (void)flags;
    if (n < 0)
        subject_fail("uv_udp_recv: %s", uv_strerror((int)n));
    if (!from || ++count % each != 0)
        return;
    uv_buf_t answer = uv_buf_init(buf->base, (unsigned)n);
    if (uv_udp_try_send(handle, &answer, 1, from) < 0)
        subject_fail("uv_udp_try_send");
}

static void serve(long answer_each)
{
    struct sockaddr_in a;
    int size = sizeof a;
    each = answer_each;
    uv_loop_t *loop = uv_default_loop();
    uv_ip4_addr("127.0.0.1", 0, &a);
    if (uv_udp_init_ex(loop, &socket_handle, AF_INET | UV_UDP_RECVMMSG) < 0 ||
        uv_udp_bind(&socket_handle, (struct sockaddr *)&a, 0) < 0 ||
        uv_udp_getsockname(&socket_handle, (struct sockaddr *)&a, &size) < 0)
        subject_fail("the socket is not bound");
    int room = ROOM;
    uv_recv_buffer_size((uv_handle_t *)&socket_handle, &room);
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    uv_udp_recv_start(&socket_handle, give_buffer, received);
    uv_run(loop, UV_RUN_DEFAULT);
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
