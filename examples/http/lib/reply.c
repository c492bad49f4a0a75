/* Answers. */
#include "reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "list.h"
#include "path.h"
#include "select.h"

static const char *reason_of(int status)
{
    switch (status) {
    case 200: return "200 OK";
    case 206: return "206 Partial Content";
    case 301: return "301 Moved Permanently";
    case 304: return "304 Not Modified";
    case 400: return "400 Bad Request";
    case 403: return "403 Forbidden";
    case 404: return "404 Not Found";
    case 405: return "405 Method Not Allowed";
    case 408: return "408 Request Timeout";
    case 412: return "412 Precondition Failed";
    case 414: return "414 URI Too Long";
    case 416: return "416 Range Not Satisfiable";
    case 431: return "431 Request Header Fields Too Large";
    case 501: return "501 Not Implemented";
    case 503: return "503 Service Unavailable";
    case 505: return "505 HTTP Version Not Supported";
    default: return "500 Internal Server Error";
    }
}

void http_server_init(struct http_server *server)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) < 0)
        random = (uint64_t)(uintptr_t)server ^ (uint64_t)time(NULL);
    snprintf(server->boundary, sizeof server->boundary, "part-%016" PRIx64, random);
    server->now = -1;
}

static time_t now_of(struct http_server *server)
{
    time_t now = time(NULL);
    if (now != server->now) {
        server->now = now;
        http_format_date(server->date, now);
    }
    return now;
}

/* ---- heads ---- */

static void begin_head(struct http_connection *c, int status)
{
    struct http_out *out = &c->out;
    http_out_text(out, "HTTP/1.1 ");
    http_out_text(out, reason_of(status));
    http_out_text(out, "\r\nDate: ");
    http_out_add(out, c->server->date, HTTP_DATE_SIZE);
    http_out_text(out, "\r\n");
    if (c->last)
        http_out_text(out, "Connection: close\r\n");
    else if (c->request.minor == 0)
        http_out_text(out, "Connection: keep-alive\r\n");
}

static void end_head(struct http_connection *c, const char *type, uint64_t length)
{
    char digits[24];
    int n = sizeof digits;
    do
        digits[--n] = (char)('0' + length % 10);
    while (length /= 10);
    http_out_text(&c->out, "Content-Type: ");
    http_out_text(&c->out, type);
    http_out_text(&c->out, "\r\nContent-Length: ");
    http_out_add(&c->out, digits + n, sizeof digits - (size_t)n);
    http_out_text(&c->out, "\r\n\r\n");
}

static void note(struct http_connection *c, int status, uint64_t bytes)
{
    if (c->server->log)
        http_log_write(c->server->log, c->peer, c->server->now, &c->request, status,
                       c->request.method == HTTP_HEAD ? 0 : bytes);
}

/* An answer without a file: a line that says what it is. more: further fields. */
static void answer_status(struct http_connection *c, int status, const char *more)
{
    const char *reason = reason_of(status);
    uint64_t size = strlen(reason) + 1;
    begin_head(c, status);
    http_out_text(&c->out, more);
    end_head(c, "text/plain; charset=utf-8", size);
    if (c->request.method != HTTP_HEAD)
        http_out_print(&c->out, "%s\n", reason);
    note(c, status, size);
}

/* "dir" is "dir/". Made anew of the path: "//host" would lead elsewhere. */
static void answer_moved(struct http_connection *c)
{
    char decoded[FILES_PATH_MOST], encoded[HTTP_HEAD_MOST], field[HTTP_HEAD_MOST + 64];
    if (http_decode_path(c->request.path, decoded, sizeof decoded) < 0 ||
        http_encode_path(decoded, encoded, sizeof encoded) < 0) {
        answer_status(c, 414, "");
        return;
    }
    snprintf(field, sizeof field, "Location: /%s/%s%.*s\r\n", encoded,
             c->request.query.at ? "?" : "", (int)c->request.query.size, c->request.query.at);
    answer_status(c, 301, field);
}

static int answer_list(struct http_connection *c)
{
    char *page;
    size_t size;
    int status = http_list(c->server->files.root, c->request.path, &page, &size);
    if (status)
        return status;
    begin_head(c, 200);
    end_head(c, "text/html; charset=utf-8", size);
    if (c->request.method == HTTP_GET)
        http_out_add(&c->out, page, size);
    note(c, 200, size);
    free(page);
    return 0;
}

/* ---- files ---- */

static void send_part(struct http_connection *c, const struct http_file *file, uint64_t begin,
                      uint64_t size)
{
    if (file->body)
        http_out_add(&c->out, file->body + begin, (size_t)size);
    else
        http_out_file(&c->out, file->fd, begin, size);
}

/* The head of one of several parts. Returns its length. */
static int part_head(const struct http_connection *c, const struct http_file *file,
                     const struct http_range *range, char *text, size_t room)
{
    return snprintf(text, room,
                    "\r\n--%s\r\nContent-Type: %s\r\n"
                    "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                    c->server->boundary, file->type, range->begin, range->begin + range->size - 1,
                    (uint64_t)file->is.st_size);
}

static uint64_t size_of_parts(const struct http_connection *c, const struct http_file *file,
                              const struct http_selection *selection)
{
    uint64_t size = strlen("\r\n----\r\n") + strlen(c->server->boundary);
    for (int i = 0; i < selection->n_ranges; i++)
        size += (uint64_t)part_head(c, file, &selection->ranges[i], NULL, 0) +
                selection->ranges[i].size;
    return size;
}

static void send_parts(struct http_connection *c, const struct http_file *file,
                       const struct http_selection *selection)
{
    char text[256];
    for (int i = 0; i < selection->n_ranges; i++) {
        const struct http_range *range = &selection->ranges[i];
        part_head(c, file, range, text, sizeof text);
        http_out_text(&c->out, text);
        send_part(c, file, range->begin, range->size);
    }
    http_out_print(&c->out, "\r\n--%s--\r\n", c->server->boundary);
}

/* The head of an answer that has to do with a file. Returns how long its body is. */
static uint64_t file_head(struct http_connection *c, const struct http_file *file,
                          const struct http_selection *selection)
{
    char type[64];
    uint64_t size = (uint64_t)file->is.st_size;
    begin_head(c, selection->status);
    http_out_add(&c->out, file->fields, file->fields_size);
    if (selection->n_ranges > 1) {
        snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", c->server->boundary);
        size = size_of_parts(c, file, selection);
        end_head(c, type, size);
        return size;
    }
    if (selection->n_ranges == 1) {
        const struct http_range *range = &selection->ranges[0];
        http_out_print(&c->out, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                       range->begin, range->begin + range->size - 1, size);
        size = range->size;
    }
    end_head(c, file->type, size);
    return size;
}

static void answer_file(struct http_connection *c, const struct http_file *file, size_t head)
{
    struct http_selection selection;
    char field[64];
    http_select(&selection, &c->request, file);
    if (selection.status == 412 || selection.status == 416) {
        snprintf(field, sizeof field, "Content-Range: bytes */%" PRIu64 "\r\n",
                 (uint64_t)file->is.st_size);
        answer_status(c, selection.status, selection.status == 416 ? field : "");
        cio_consume(c->out.stream, head);
        return;
    }
    if (selection.status == 304) {
        begin_head(c, 304);
        http_out_add(&c->out, file->fields, file->fields_size);
        http_out_text(&c->out, "\r\n");
        note(c, 304, 0);
        cio_consume(c->out.stream, head);
        return;
    }
    note(c, selection.status, file_head(c, file, &selection));
    bool wants_body = c->request.method == HTTP_GET;
    cio_consume(c->out.stream, head); /* its buffer is not held while the body is sent */
    if (!wants_body)
        return;
    if (selection.n_ranges > 1)
        send_parts(c, file, &selection);
    else if (selection.n_ranges == 1)
        send_part(c, file, selection.ranges[0].begin, selection.ranges[0].size);
    else
        send_part(c, file, 0, (uint64_t)file->is.st_size);
}

/* ---- requests ---- */

void http_refuse(struct http_connection *c, int status)
{
    now_of(c->server);
    c->last = c->lingers = true;
    c->request.method = HTTP_GET; /* it may not have been read */
    answer_status(c, status, "");
}

void http_answer(struct http_connection *c, size_t head)
{
    const struct http_body *body = &c->request.body;
    struct http_file *file;
    time_t now = now_of(c->server);
    /* Nothing here wants a body: who sends one has its answer, and is not listened to further. */
    c->lingers = body->framing == HTTP_CHUNKED || (body->framing == HTTP_LENGTH && body->length);
    c->last = !c->request.keep_alive || c->lingers || cio_is_closing(c->out.stream);
    int status = c->request.method == HTTP_OTHER     ? 405
                 : c->request.method == HTTP_UNKNOWN ? 501
                                                     : 0;
    if (!status)
        status = http_files_open(&c->server->files, c->request.path, now, &file);
    if (status == 0) {
        answer_file(c, file, head);
        http_files_release(file);
        return;
    }
    const struct http_text *path = &c->request.path;
    if (status == 404 && c->server->lists && path->at[path->size - 1] == '/')
        status = answer_list(c);
    if (status < 0)
        c->out.error = status;
    else if (status == 301)
        answer_moved(c);
    else if (status)
        answer_status(c, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    cio_consume(c->out.stream, head);
}
