/*
 * Transports over TLS: the order of a protocol's calls, which is the one without it; handshakes that
 * fail, of which a protocol never hears; start_tls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

struct service {
    struct tls_server tls; /* without its server */
    cio_server *server;
    struct recorder recorder; /* of its last connection */
    const cio_protocol *protocol;
    int n;
};

static const cio_protocol *factory(void *arg, void **self)
{
    struct service *service = arg;
    service->n++;
    *self = &service->recorder;
    return service->protocol;
}

static void begin(struct service *service, const cio_tls_options *options)
{
    service->tls.context = server_context(options);
    cio_server_options how = {.tls = service->tls.context};
    assert_int_equal(cio_create_server(&service->server, factory, service, "127.0.0.1", "0", &how),
                     0);
    name_port(service->tls.port, service->server);
}

static void end(struct service *service)
{
    assert_int_equal(cio_server_close(service->server), 0);
    assert_int_equal(cio_server_wait_closed(service->server), 0);
    assert_int_equal(cio_server_free(service->server), 0);
    cio_tls_context_free(service->tls.context);
}

static void send_back(struct recorder *r, const char *data, size_t size)
{
    assert_int_equal(cio_transport_write(r->transport, data, size), 0);
}

/* The whole life of a connection, the two ends' calls in their order. */
static int life(void *arg)
{
    struct service service = {
        .protocol = &recording_protocol,
        .recorder = {.name = "s", .on_data = send_back},
    };
    struct recorder client = {.name = "c"};
    cio_transport *t;
    cio_tls_info info;
    cio_tls_context *context = client_context(NULL);
    (void)arg;
    begin(&service, NULL);
    cio_connect_options how = {.tls = context, .server_hostname = "localhost"};
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &client, "127.0.0.1",
                                           service.tls.port, &how),
                     0);
    assert_true(client.made);
    assert_int_equal(cio_transport_tls_get_info(t, &info), 0);
    assert_string_equal(info.subject, "CN=localhost");
    assert_int_equal(cio_transport_tls_get_info(NULL, &info), -EINVAL);
    assert_true(cio_transport_tls_peer_certificate(t, NULL, 0) > 100);
    assert_string_equal(cio_transport_tls_why(t), "");
    assert_int_equal(cio_transport_write(t, "hello", 5), 0);
    recorder_wait_for(&client, 5);
    assert_int_equal(cio_transport_close(t), 0);
    assert_true(cio_transport_is_closing(t));
    assert_int_equal(cio_transport_write(t, "x", 1), CIO_ESHUTDOWN);
    recorder_wait(&client);
    recorder_wait(&service.recorder);
    assert_int_equal(client.rc, 0);
    assert_int_equal(service.recorder.rc, 0);
    assert_string_equal(noted(), *(const char **)arg);
    end(&service);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_protocol_over_tls_gets_the_same_calls)
{
    const char *calls = "cmade smade sdata:hello cdata:hello seof slost clost";
    assert_int_equal(run_quiet(life, &calls), 0);
}

static int no_handshake(void *arg)
{
    struct service service = {.protocol = &recording_protocol, .recorder = {.name = "s"}};
    struct recorder client = {.name = "c"};
    cio_transport *t;
    cio_tls_context *context = client_context(NULL);
    (void)arg;
    begin(&service, NULL);
    cio_connect_options how = {.tls = context, .server_hostname = "wrong.example"};
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &client, "127.0.0.1",
                                           service.tls.port, &how),
                     CIO_ECERTIFICATE);
    assert_non_null(strstr(cio_tls_why(NULL), "hostname mismatch"));
    assert_null(t);
    how.server_hostname = NULL;
    how.tls = CIO_TLS_CLIENT;
    assert_int_equal(cio_create_connection(NULL, &recording_protocol, &client, "127.0.0.1",
                                           service.tls.port, &how),
                     CIO_ECERTIFICATE);
    end(&service);
    assert_int_equal(service.n, 0);
    assert_string_equal(noted(), "");
    cio_tls_context_free(context);
    return 0;
}

TEST(a_protocol_does_not_hear_of_a_handshake_that_fails)
{
    assert_int_equal(run_quiet(no_handshake, NULL), 0);
}

/* Ended while the handshake waits: by the server, by the client's cancellation. */
struct connecting {
    const cio_tls_context *context;
    const char *port;
    struct recorder *recorder;
};

static int connect_protocol(void *arg)
{
    const struct connecting *c = arg;
    cio_connect_options how = {.tls = c->context, .server_hostname = "localhost"};
    return cio_create_connection(NULL, &recording_protocol, c->recorder, "127.0.0.1", c->port,
                                 &how);
}

static int ended_meanwhile(void *arg)
{
    struct service service = {.protocol = &recording_protocol, .recorder = {.name = "s"}};
    struct recorder client = {.name = "c"};
    struct sockaddr_in address;
    char port[8];
    cio_tls_context *context = client_context(NULL);
    (void)arg;
    /* The server ends those that only connect. */
    int (*const ways[])(cio_server *) = {cio_server_close_clients, cio_server_abort_clients};
    for (int i = 0; i < 2; i++) {
        begin(&service, NULL);
        int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        address = (struct sockaddr_in){.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)atoi(service.tls.port)),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        while (cio_server_connections(service.server) == 0)
            assert_int_equal(cio_yield(), 0);
        settle_io();
        assert_int_equal(ways[i](service.server), 0);
        end(&service);
        cio_sock_close(fd);
    }
    /* The client is canceled: a server that never answers. */
    int listener = net_listen(&address, 5);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    for (int turns = 0; turns < 8; turns++) {
        struct connecting c = {context, port, &client};
        cio_task *task = cio_create_task(connect_protocol, &c);
        for (int i = 0; i < turns; i++)
            assert_int_equal(cio_yield(), 0);
        if (turns > 5)
            settle_io();
        assert_true(cio_cancel(task));
        assert_int_equal(cio_await(task), CIO_ECANCELED);
    }
    settle_io();
    cio_sock_close(listener);
    assert_string_equal(noted(), "");
    cio_tls_context_free(context);
    return 0;
}

TEST(a_transport_is_ended_under_its_handshake)
{
    assert_int_equal(run_quiet(ended_meanwhile, NULL), 0);
}

/* ---- ends ---- */

static int truncated(void *arg)
{
    struct service service = {.protocol = &recording_protocol,
                              .recorder = {.name = "s", .on_data = send_back}};
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char byte;
    (void)arg;
    begin(&service, NULL);
    assert_int_equal(connect_tls(&s, &service.tls, context), 0);
    assert_int_equal(cio_write(s, "x", 1), 0);
    assert_int_equal(cio_read(s, &byte, 1), 1); /* all that came is read: no reset */
    cio_abort(s);
    recorder_wait(&service.recorder);
    assert_int_equal(service.recorder.rc, CIO_ETRUNCATED); /* no eof_received before it */
    assert_string_equal(noted(), "smade sdata:x slost:CIO_ETRUNCATED");
    end(&service);
    cio_tls_context_free(context);
    return 0;
}

TEST(t61_a_truncated_connection_is_lost_not_ended)
{
    assert_int_equal(run_quiet(truncated, NULL), 0);
}

/* T60: here it may go on writing when the peer has ended; asyncio's cannot over TLS. */
static int half_open(void *arg)
{
    struct service service = {.protocol = &recording_protocol,
                              .recorder = {.name = "s", .keep_open = 1}};
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char data[10];
    (void)arg;
    begin(&service, NULL);
    assert_int_equal(connect_tls(&s, &service.tls, context), 0);
    assert_int_equal(cio_write_eof(s), 0);
    while (!service.recorder.made || !strstr(noted(), "eof"))
        assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_transport_write(service.recorder.transport, "late", 4), 0);
    assert_int_equal(cio_read_exactly(s, data, 4), 4);
    assert_int_equal(cio_transport_write_eof(service.recorder.transport), 0);
    assert_int_equal(cio_read(s, data, 1), 0);
    assert_int_equal(cio_transport_close(service.recorder.transport), 0);
    recorder_wait(&service.recorder);
    assert_int_equal(cio_close(s), 0);
    assert_string_equal(noted(), "smade seof slost");
    end(&service);
    cio_tls_context_free(context);
    return 0;
}

TEST(t60_eof_received_may_keep_the_writing_side_open)
{
    assert_int_equal(run_quiet(half_open, NULL), 0);
}

static int parting_timeout(void *arg)
{
    struct service service = {.protocol = &recording_protocol, .recorder = {.name = "s"}};
    cio_tls_options options = {.shutdown_timeout = 0.05};
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char byte;
    (void)arg;
    for (int abort = 0; abort < 2; abort++) {
        begin(&service, abort ? NULL : &options);
        service.recorder = (struct recorder){.name = "s"};
        assert_int_equal(connect_tls(&s, &service.tls, context), 0);
        while (!service.recorder.made)
            assert_int_equal(cio_yield(), 0);
        assert_int_equal(cio_transport_close(service.recorder.transport), 0);
        settle_io();
        if (abort) /* the end is told already, but not waited for any more */
            assert_int_equal(cio_transport_abort(service.recorder.transport), 0);
        recorder_wait(&service.recorder);
        assert_int_equal(service.recorder.rc, abort ? 0 : CIO_ETIMEDOUT);
        assert_int_equal(cio_read(s, &byte, 1), 0);
        cio_abort(s);
        end(&service);
    }
    cio_tls_context_free(context);
    return 0;
}

TEST(a_transport_waits_no_longer_than_the_shutdown_timeout)
{
    assert_int_equal(run_quiet(parting_timeout, NULL), 0);
}

/* ---- many bytes, with water marks and pauses ---- */

enum { MUCH = 3000000 };
static char much[MUCH];

static void check_flow(struct recorder *r, const char *data, size_t size)
{
    net_check(data, size, 5, r->received - size);
    if (r->received % 7 == 0) {
        assert_int_equal(cio_transport_pause_reading(r->transport), 0);
        assert_int_equal(cio_transport_resume_reading(r->transport), 0);
    }
}

static int flow(void *arg)
{
    struct service service = {
        .protocol = arg,
        .recorder = {.quiet_data = true, .on_data = check_flow},
    };
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    uint32_t random = 3;
    size_t size = (size_t)test_scale(MUCH);
    net_fill(much, size, 5, 0);
    begin(&service, NULL);
    assert_int_equal(connect_tls(&s, &service.tls, context), 0);
    for (size_t n = 0; n < size;) {
        size_t part = net_random(&random, 50000);
        part = part < size - n ? part : size - n;
        assert_int_equal(cio_write(s, much + n, part), 0);
        n += part;
    }
    assert_int_equal(cio_close(s), 0);
    recorder_wait(&service.recorder);
    assert_int_equal(service.recorder.rc, 0);
    assert_int_equal(service.recorder.received, size);
    end(&service);
    cio_tls_context_free(context);
    return 0;
}

TEST(every_byte_arrives_at_a_protocol)
{
    assert_int_equal(run_quiet(flow, (void *)&recording_protocol), 0);
}

TEST(t62_every_byte_arrives_at_a_buffered_protocol)
{
    assert_int_equal(run_quiet(flow, (void *)&recording_buffered_protocol), 0);
}

/* ---- from the middle on ---- */

struct upgrade {
    cio_stream *s;
    cio_tls_context *context;
};

static int upgrade_stream(void *arg)
{
    const struct upgrade *u = arg;
    return cio_start_tls(u->s, u->context, "localhost");
}

static int start_in_the_middle(void *arg)
{
    struct recorder r = {.name = "t", .on_data = send_back};
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    cio_stream *s;
    char data[100];
    (void)arg;
    recorder_open(&r, &recording_protocol);
    assert_int_equal(cio_open_stream(&s, r.peer, NULL), 0);
    while (!r.made)
        assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_write(s, "plain", 5), 0);
    assert_int_equal(cio_read_exactly(s, data, 5), 5);
    assert_int_equal(cio_transport_start_tls(NULL, server, NULL), -EINVAL);
    assert_int_equal(cio_transport_start_tls(r.transport, NULL, NULL), -EINVAL);
    assert_int_equal(cio_transport_start_tls(r.transport, client, NULL), -EINVAL);
    struct upgrade u = {s, client};
    cio_task *task = cio_create_task(upgrade_stream, &u);
    assert_int_equal(cio_transport_start_tls(r.transport, server, NULL), 0);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(cio_transport_start_tls(r.transport, server, NULL), CIO_ESTATE);
    assert_int_equal(cio_write(s, "secret", 6), 0);
    assert_int_equal(cio_read_exactly(s, data, 6), 6);
    assert_int_equal(cio_close(s), 0);
    recorder_wait(&r);
    assert_string_equal(noted(), "tmade tdata:plain tdata:secret teof tlost");

    /* One that fails; and one that is canceled. */
    for (int i = 0; i < 2; i++) {
        notes_clear();
        r = (struct recorder){.name = "t"};
        recorder_open(&r, &recording_protocol);
        while (!r.made)
            assert_int_equal(cio_yield(), 0);
        cio_timeout scope;
        assert_int_equal(cio_timeout_enter(&scope, i ? 0.01 : 10), 0);
        if (i == 0)
            assert_int_equal(send(r.peer, "nonsense", 8, 0), 8);
        int rc = cio_transport_start_tls(r.transport, server, NULL);
        if (i == 0)
            assert_non_null(strstr(cio_tls_why(NULL), "handshake: "));
        assert_int_equal(cio_timeout_exit(&scope, rc), i ? CIO_ETIMEDOUT : CIO_ETLS);
        recorder_wait(&r);
        assert_int_equal(r.rc, i ? -ECONNABORTED : CIO_ETLS);
        close(r.peer);
    }
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_a_transport_speaks_tls_from_its_middle_on)
{
    assert_int_equal(run_quiet(start_in_the_middle, NULL), 0);
}
