/* A client. */
#include "fetch.h"

#include <errno.h>
#include <stdio.h>

static int send_request(cio_stream *s, const struct http_fetch *fetch)
{
    static const char format[] = "%s %s HTTP/1.1\r\n"
                                 "Host: %s\r\n"
                                 "User-Agent: cio-http\r\n"
                                 "Accept: */*\r\n"
                                 "Connection: close\r\n\r\n";
    int rc = cio_printf(s, format, fetch->head_only ? "HEAD" : "GET", fetch->url->path,
                        fetch->url->authority);
    return rc < 0 ? rc : 0;
}

/* One of the parsers, whatever it leaves behind. */
typedef ssize_t parser(const char *data, size_t size, void *result);

/*
 * Waits until a parser has read the next part of the stream. Returns its size, to be consumed;
 * -EPROTO if it is none.
 */
static ssize_t parse_next(cio_stream *s, parser *parse, void *result)
{
    const void *data;
    ssize_t had = 0, size;
    while ((size = cio_peek(s, (size_t)had + 1, &data)) > had) {
        ssize_t n = parse(data, (size_t)size, result);
        if (n)
            return n < 0 ? -EPROTO : n;
        had = size;
    }
    return size < 0 ? size : CIO_EOF;
}

static ssize_t parse_head(const char *data, size_t size, void *result)
{
    return http_parse_response(result, data, size);
}

static ssize_t parse_chunk(const char *data, size_t size, void *result)
{
    return http_parse_chunk_line(result, data, size);
}

static ssize_t parse_trailer(const char *data, size_t size, void *result)
{
    (void)result;
    return http_parse_trailer(data, size);
}

static bool is_html(struct http_text type)
{
    const char *end = type.at ? memchr(type.at, ';', type.size) : NULL;
    if (end)
        type.size = (size_t)(end - type.at);
    type = http_trim(type);
    return http_is_word(type, "text/html") || http_is_word(type, "application/xhtml+xml");
}

/* The answer's head; those of status 1xx come before it. */
static int read_head(cio_stream *s, struct http_fetch *fetch, struct http_body *body)
{
    struct http_response response;
    do {
        ssize_t n = parse_next(s, parse_head, &response);
        if (n < 0)
            return (int)n;
        fetch->status = response.status;
        fetch->is_html = is_html(response.content_type);
        if (response.location.at && response.location.size < sizeof fetch->location) {
            memcpy(fetch->location, response.location.at, response.location.size);
            fetch->location[response.location.size] = 0;
        }
        *body = response.body;
        cio_consume(s, (size_t)n);
    } while (response.status < 200);
    return 0;
}

/* ---- bodies ---- */

/* So many bytes of it, or as many as there is room for. */
static int read_part(cio_stream *s, struct http_fetch *fetch, uint64_t size)
{
    size_t room = fetch->room - fetch->size;
    fetch->cut |= size > room;
    ssize_t n = cio_read_exactly(s, fetch->body + fetch->size, size < room ? (size_t)size : room);
    fetch->size += n > 0 ? (size_t)n : 0;
    return n < 0 ? (int)n : 0;
}

static int read_to_end(cio_stream *s, struct http_fetch *fetch)
{
    ssize_t n = 0;
    do
        fetch->size += (size_t)n;
    while (fetch->size < fetch->room &&
           (n = cio_read(s, fetch->body + fetch->size, fetch->room - fetch->size)) > 0);
    fetch->cut = fetch->size == fetch->room;
    return n < 0 ? (int)n : 0;
}

static int read_chunks(cio_stream *s, struct http_fetch *fetch)
{
    uint64_t chunk = 0;
    char end[2];
    do {
        ssize_t n = parse_next(s, parse_chunk, &chunk);
        int rc = n < 0 ? (int)n : cio_consume(s, (size_t)n);
        if (rc == 0)
            rc = read_part(s, fetch, chunk);
        if (rc < 0 || fetch->cut)
            return rc;
        if (chunk && (n = cio_read_exactly(s, end, 2)) < 0)
            return (int)n;
        if (chunk && memcmp(end, "\r\n", 2) != 0)
            return -EPROTO;
    } while (chunk);
    ssize_t n = parse_next(s, parse_trailer, NULL);
    return n < 0 ? (int)n : 0;
}

static int read_body(cio_stream *s, struct http_fetch *fetch, const struct http_body *body)
{
    switch (body->framing) {
    case HTTP_LENGTH: return read_part(s, fetch, body->length);
    case HTTP_CHUNKED: return read_chunks(s, fetch);
    case HTTP_UNTIL_CLOSE: return read_to_end(s, fetch);
    default: return 0;
    }
}

/* OpenSSL's words: the last that it said in this thread, and nobody has waited since. */
static int keep_reason(struct http_fetch *fetch, int rc)
{
    if (rc == CIO_ETLS || rc == CIO_ECERTIFICATE)
        snprintf(fetch->why, sizeof fetch->why, "%s", cio_tls_why(NULL));
    return rc;
}

int http_fetch(struct http_fetch *fetch)
{
    cio_connect_options options = {.tls = fetch->url->tls ? fetch->tls : NULL};
    struct http_body body = {0};
    cio_stream *s;
    fetch->size = 0;
    fetch->status = 0;
    fetch->is_html = fetch->cut = false;
    fetch->location[0] = fetch->why[0] = 0;
    int rc = cio_open_connection(&s, fetch->url->host, fetch->url->port, &options);
    if (rc < 0)
        return keep_reason(fetch, rc);
    rc = send_request(s, fetch);
    if (rc == 0)
        rc = read_head(s, fetch, &body);
    if (rc == 0 && fetch->body && !fetch->head_only && fetch->is_html && fetch->status == 200)
        rc = read_body(s, fetch, &body);
    cio_abort(s); /* nothing more is wanted of it */
    return rc;
}
