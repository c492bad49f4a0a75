#include <string.h>
#include <sys/socket.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "test.h"

static const char *prefix(const struct recorder *r)
{
    return r->name ? r->name : "";
}

static void made(void *self, cio_transport *t)
{
    struct recorder *r = self;
    assert_false(r->made);
    r->made = true;
    r->transport = t;
    note("%smade", prefix(r));
    if (r->on_made)
        r->on_made(r);
}

static int deal_with(struct recorder *r, const char *data, size_t size)
{
    assert_true(r->made && !r->lost);
    assert_true(size > 0);
    r->received += size;
    if (!r->quiet_data)
        note("%sdata:%.*s", prefix(r), (int)size, data);
    if (r->on_data)
        r->on_data(r, data, size);
    return r->data_rc;
}

static int data(void *self, const void *bytes, size_t size)
{
    return deal_with(self, bytes, size);
}

static ssize_t get_buffer(void *self, size_t hint, void **buffer)
{
    struct recorder *r = self;
    assert_int_equal(hint, 0);
    *buffer = r->buffer;
    return r->no_buffer ? 0 : (ssize_t)sizeof r->buffer;
}

static int buffer_updated(void *self, size_t size)
{
    struct recorder *r = self;
    return deal_with(r, r->buffer, size);
}

static int eof(void *self)
{
    struct recorder *r = self;
    assert_true(r->made && !r->lost);
    note("%seof", prefix(r));
    return r->keep_open;
}

static void pause_writing(void *self)
{
    struct recorder *r = self;
    note("%spause", prefix(r));
    if (r->on_pause)
        r->on_pause(r);
}

static void resume_writing(void *self)
{
    struct recorder *r = self;
    note("%sresume", prefix(r));
    if (r->on_resume)
        r->on_resume(r);
}

static void lost(void *self, int rc)
{
    struct recorder *r = self;
    assert_true(r->made && !r->lost);
    r->lost = true;
    r->rc = rc;
    if (rc)
        note("%slost:%s", prefix(r), cio_err_name(rc));
    else
        note("%slost", prefix(r));
    if (r->on_lost)
        r->on_lost(r);
    r->transport = NULL;
}

const cio_protocol recording_protocol = {.connection_made = made,
                                         .data_received = data,
                                         .eof_received = eof,
                                         .pause_writing = pause_writing,
                                         .resume_writing = resume_writing,
                                         .connection_lost = lost};

const cio_protocol recording_buffered_protocol = {.connection_made = made,
                                                  .get_buffer = get_buffer,
                                                  .buffer_updated = buffer_updated,
                                                  .eof_received = eof,
                                                  .pause_writing = pause_writing,
                                                  .resume_writing = resume_writing,
                                                  .connection_lost = lost};

void recorder_open(struct recorder *r, const cio_protocol *protocol)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    r->peer = fds[1];
    assert_int_equal(cio_open_transport(&r->transport, fds[0], protocol, r), 0);
}

void recorder_begin(struct recorder *r)
{
    recorder_open(r, &recording_protocol);
    settle_io();
}

void recorder_wait(const struct recorder *r)
{
    while (!r->lost)
        assert_int_equal(cio_sleep(0.001), 0);
}

void recorder_end(const struct recorder *r)
{
    recorder_wait(r);
    assert_int_equal(cio_sock_close(r->peer), 0);
}

void recorder_wait_for(const struct recorder *r, size_t received)
{
    while (r->received < received && !r->lost)
        assert_int_equal(cio_sleep(0.001), 0);
    assert_int_equal(r->received, received);
}

void settle_io(void)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_sleep(0.001), 0);
}
