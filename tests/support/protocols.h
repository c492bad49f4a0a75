/*
 * A protocol that notes what it is called for, and does what a test tells it to: what happens to
 * whom, and in which order, can then be read as one line.
 */
#ifndef CIO_TESTS_PROTOCOLS_H
#define CIO_TESTS_PROTOCOLS_H

#include <stdbool.h>

#include <cio.h>

struct recorder {
    const char *name; /* begins each of its words; NULL: none */
    cio_transport *transport;
    int peer; /* the other end, a plain non-blocking socket */
    int rc;   /* what connection_lost was told */
    bool made;
    bool lost;
    bool quiet_data; /* data is counted, not noted */
    size_t received;
    int keep_open; /* what eof_received returns */
    int data_rc;   /* what data_received returns */
    bool no_buffer;
    char buffer[16];
    void (*on_made)(struct recorder *r);
    void (*on_data)(struct recorder *r, const char *data, size_t size);
    void (*on_pause)(struct recorder *r);
    void (*on_resume)(struct recorder *r);
    void (*on_lost)(struct recorder *r);
};

extern const cio_protocol recording_protocol;
extern const cio_protocol recording_buffered_protocol; /* of 16 bytes a read */

/* A transport over one end of a new pair; the other end is r->peer. */
void recorder_open(struct recorder *r, const cio_protocol *protocol);

/* The same with the recording protocol, and runs the loop until it is made. */
void recorder_begin(struct recorder *r);

/* Waits, in a task, until connection_lost was called. */
void recorder_wait(const struct recorder *r);

/* The same, and closes the other end. */
void recorder_end(const struct recorder *r);

/* Waits until so many bytes were received. */
void recorder_wait_for(const struct recorder *r, size_t received);

/* Runs the loop for a while that is long enough for everything that is ready to happen. */
void settle_io(void);

#endif
