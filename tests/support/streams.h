/* Streams for tests: one end a stream, the other a plain non-blocking socket. */
#ifndef CIO_TESTS_STREAMS_H
#define CIO_TESTS_STREAMS_H

#include <cio.h>

struct ends {
    cio_stream *s;
    int peer;
};

/* Of a unix pair; or of a pair that is there: s gets fds[0]. */
void ends_open(struct ends *e, const cio_connect_options *options);
void ends_of(struct ends *e, const int fds[2], const cio_connect_options *options);

/* The peer sends a text at once, which its socket has room for. */
void say_to(const struct ends *e, const char *text);

/* Lets everything that is under way arrive. */
void settle_streams(void);

/* A task that sends so many bytes of stream `seed` from `offset` on, from a plain socket. */
struct sending {
    int fd;
    size_t size;
    uint32_t seed;
    size_t offset;
};
int send_bytes(void *arg);

/* One call in a task of its own; it ends with what the call returned. */
struct reading {
    cio_stream *s;
    char *data;
    size_t size;
    const char *separator;
};
int read_task(void *arg);
int read_exactly_task(void *arg);
int read_until_task(void *arg);
int read_line_task(void *arg);
int peek_task(void *arg);

struct writing {
    cio_stream *s;
    const char *data;
    size_t size;
};
int write_task(void *arg);
int flush_task(void *arg);
int close_task(void *arg);

/* From here to the end the bytes that the library has allocated are counted. */
void count_memory(void);
void count_memory_no_more(void);
long counted_memory(void);

#endif
