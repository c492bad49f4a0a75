/* Heads of messages. */
#include "head.h"

/* What a byte may be part of. */
enum { TOKEN = 1, TARGET = 2, VALUE = 4, HOST = 8 };

/* clang-format off */
#define T TOKEN
#define U TARGET
#define V VALUE
#define H HOST
#define ALL (T | U | V | H)
static const unsigned char classes[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = ALL, ['"'] = V, ['#'] = T | V, ['$'] = ALL, ['%'] = ALL, ['&'] = ALL, ['\''] = ALL,
    ['('] = U | V | H, [')'] = U | V | H, ['*'] = ALL, ['+'] = ALL, [','] = U | V | H, ['-'] = ALL,
    ['.'] = ALL, ['/'] = U | V, ['0' ... '9'] = ALL, [':'] = U | V | H, [';'] = U | V | H,
    ['<'] = V, ['='] = U | V | H, ['>'] = V, ['?'] = U | V, ['@'] = U | V, ['A' ... 'Z'] = ALL,
    ['['] = U | V | H, ['\\'] = V, [']'] = U | V | H, ['^'] = T | V, ['_'] = ALL, ['`'] = T | V,
    ['a' ... 'z'] = ALL, ['{'] = V, ['|'] = T | U | V, ['}'] = V, ['~'] = ALL,
    [0x80 ... 0xff] = V,
};
#undef T
#undef U
#undef V
#undef H
#undef ALL
/* clang-format on */

/* What has been read so far, and what comes. */
struct reader {
    const char *at;
    const char *end;
    bool cut; /* the end is a limit of ours: what does not end before it is too large */
};

enum { MORE = 0, DONE = 1 };

static struct reader reader_of(const char *data, size_t size)
{
    bool cut = size >= HTTP_HEAD_MOST;
    return (struct reader){data, data + (cut ? HTTP_HEAD_MOST : size), cut};
}

static int run_out(const struct reader *r, int status_if_cut)
{
    return r->cut ? -status_if_cut : MORE;
}

/* The bytes of a class from here on. */
static struct http_text take(struct reader *r, unsigned class)
{
    const char *begin = r->at;
    while (r->at < r->end && (classes[(unsigned char)*r->at] & class))
        r->at++;
    return (struct http_text){begin, (size_t)(r->at - begin)};
}

/* One byte that must be there. */
static int skip(struct reader *r, char c, int status_if_cut)
{
    if (r->at == r->end)
        return run_out(r, status_if_cut);
    if (*r->at != c)
        return -400;
    r->at++;
    return DONE;
}

static int skip_line_end(struct reader *r, int status_if_cut)
{
    int rc = skip(r, '\r', status_if_cut);
    return rc == DONE ? skip(r, '\n', status_if_cut) : rc;
}

/* ---- fields ---- */

struct field {
    struct http_text name;
    struct http_text value;
};

/* The next field: DONE; with an empty name: that was the empty line. Or MORE, or an error. */
static int next_field(struct reader *r, struct field *field)
{
    field->name = take(r, TOKEN);
    if (field->name.size == 0)
        return skip_line_end(r, 431);
    int rc = skip(r, ':', 431);
    if (rc != DONE)
        return rc;
    field->value = http_trim(take(r, VALUE));
    return skip_line_end(r, 431);
}

/* What the fields say that every message may have. */
struct common {
    bool has_length;
    bool has_coding;
    bool chunked;
    bool close;
    bool keep_alive;
    uint64_t length;
};

static int note_coding(struct common *common, struct http_text value)
{
    if (common->has_coding)
        return -400;
    common->has_coding = true;
    common->chunked = http_is_word(value, "chunked");
    return common->chunked ? DONE : -501;
}

static int note_length(struct common *common, struct http_text value)
{
    if (common->has_length || !http_number(value, &common->length))
        return -400;
    common->has_length = true;
    return DONE;
}

static int note_common(struct common *common, const struct field *field)
{
    struct http_text value = field->value, option;
    switch (field->name.size) {
    case 10:
        if (http_is_word(field->name, "Connection"))
            while (http_next_element(&value, &option)) {
                common->close |= http_is_word(option, "close");
                common->keep_alive |= http_is_word(option, "keep-alive");
            }
        return DONE;
    case 14: return http_is_word(field->name, "Content-Length") ? note_length(common, value) : DONE;
    case 17:
        return http_is_word(field->name, "Transfer-Encoding") ? note_coding(common, value) : DONE;
    default: return DONE;
    }
}

/* HTTP/1.0 knows no chunks: a message that says both was made by somebody confused. */
static int find_framing(const struct common *common, int minor, enum http_framing otherwise,
                        struct http_body *body)
{
    if (common->has_coding && (common->has_length || minor == 0))
        return -400;
    body->framing = common->has_coding   ? HTTP_CHUNKED
                    : common->has_length ? HTTP_LENGTH
                                         : otherwise;
    body->length = common->length;
    return DONE;
}

static bool keeps_alive(const struct common *common, int minor)
{
    return !common->close && (minor > 0 || common->keep_alive);
}

/* "HTTP/1.1" */
static int parse_version(struct reader *r, int *minor)
{
    static const char name[] = "HTTP/";
    int rc = DONE;
    for (const char *c = name; *c && rc == DONE; c++)
        rc = skip(r, *c, 414);
    if (rc != DONE)
        return rc;
    char digits[3];
    for (int i = 0; i < 3; i++) {
        if (r->at == r->end)
            return run_out(r, 414);
        digits[i] = *r->at;
        if (i == 1 ? digits[i] != '.' : digits[i] < '0' || digits[i] > '9')
            return -400;
        r->at++;
    }
    *minor = digits[2] > '0';
    return digits[0] == '1' ? DONE : -505;
}

/* ---- requests ---- */

static enum http_method method_of(struct http_text name)
{
    static const char *const others[] = {"POST",    "PUT",   "DELETE", "CONNECT",
                                         "OPTIONS", "TRACE", "PATCH"};
    if (http_is(name, "GET"))
        return HTTP_GET;
    if (http_is(name, "HEAD"))
        return HTTP_HEAD;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (http_is(name, others[i]))
            return HTTP_OTHER;
    return HTTP_UNKNOWN;
}

static bool is_host(struct http_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!(classes[(unsigned char)text.at[i]] & HOST))
            return false;
    return true;
}

/* Each % is followed by two digits. */
static bool is_encoded_well(struct http_text text)
{
    const char *end = text.at + text.size;
    for (const char *c = text.at; (c = memchr(c, '%', (size_t)(end - c))); c++)
        if (end - c < 3 || http_hex_digit(c[1]) < 0 || http_hex_digit(c[2]) < 0)
            return false;
    return true;
}

/* "http://host/path": that host goes before the one in the fields. */
static bool split_absolute(struct http_text *target, struct http_text *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (int i = 0; i < 2; i++) {
        size_t begin = strlen(schemes[i]), end = begin;
        if (target->size < begin || strncasecmp(target->at, schemes[i], begin) != 0)
            continue;
        while (end < target->size && target->at[end] != '/' && target->at[end] != '?')
            end++;
        *host = (struct http_text){target->at + begin, end - begin};
        *target = (struct http_text){target->at + end, target->size - end};
        return host->size > 0 && is_host(*host);
    }
    return false;
}

static int split_target(struct http_request *request)
{
    struct http_text path = request->target;
    if (!is_encoded_well(path))
        return -400;
    if (http_is(path, "*") || http_is(request->method_name, "CONNECT")) {
        request->path = path;
        return request->method == HTTP_GET || request->method == HTTP_HEAD ? -400 : DONE;
    }
    if (path.at[0] != '/' && !split_absolute(&path, &request->host))
        return -400;
    const char *query = path.size ? memchr(path.at, '?', path.size) : NULL;
    if (query) {
        request->query = (struct http_text){query + 1, (size_t)(path.at + path.size - query) - 1};
        path.size = (size_t)(query - path.at);
    }
    request->path = path.size ? path : http_text("/");
    return DONE;
}

static int parse_request_line(struct reader *r, struct http_request *request)
{
    request->method_name = take(r, TOKEN);
    if (request->method_name.size == 0 && r->at < r->end)
        return -400;
    int rc = skip(r, ' ', 414);
    if (rc != DONE)
        return rc;
    request->target = take(r, TARGET);
    if (request->target.size == 0 && r->at < r->end)
        return -400;
    rc = skip(r, ' ', 414);
    int version = rc == DONE ? parse_version(r, &request->minor) : rc;
    if (version != DONE)
        return version;
    rc = skip_line_end(r, 414);
    if (rc != DONE)
        return rc;
    request->method = method_of(request->method_name);
    return split_target(request);
}

/* A field whose value is kept. No request has it twice. */
struct known {
    const char *name;
    size_t size;
    size_t place;
};

#define KNOWN(text, type, member)                                                                  \
    {                                                                                              \
        (text), sizeof(text) - 1, offsetof(struct type, member)                                    \
    }

static int keep_value(const struct known *known, size_t n, const struct field *field, void *message)
{
    for (size_t i = 0; i < n; i++) {
        struct http_text *place = (struct http_text *)((char *)message + known[i].place);
        if (known[i].size != field->name.size || !http_is_word(field->name, known[i].name))
            continue;
        if (place->at)
            return -400;
        *place = field->value;
    }
    return DONE;
}

static int parse_request_fields(struct reader *r, struct http_request *request)
{
    static const struct known known[] = {
        KNOWN("Host", http_request, host),
        KNOWN("Range", http_request, range),
        KNOWN("If-Range", http_request, if_range),
        KNOWN("If-Match", http_request, if_match),
        KNOWN("If-None-Match", http_request, if_none_match),
        KNOWN("If-Modified-Since", http_request, if_modified_since),
        KNOWN("If-Unmodified-Since", http_request, if_unmodified_since),
        KNOWN("User-Agent", http_request, user_agent),
        KNOWN("Referer", http_request, referer),
    };
    struct common common = {0};
    struct http_text host = request->host; /* of the target */
    struct field field;
    int rc;
    request->host.at = NULL;
    for (int n = 0; (rc = next_field(r, &field)) == DONE && field.name.size; n++) {
        if (n == HTTP_FIELDS_MOST)
            return -431;
        rc = note_common(&common, &field);
        if (rc == DONE)
            rc = keep_value(known, sizeof known / sizeof known[0], &field, request);
        if (rc != DONE)
            return rc;
    }
    if (rc != DONE)
        return rc;
    if (request->host.at ? !is_host(request->host) : request->minor > 0)
        return -400;
    if (host.at)
        request->host = host;
    request->keep_alive = keeps_alive(&common, request->minor);
    return find_framing(&common, request->minor, HTTP_NO_BODY, &request->body);
}

ssize_t http_parse_request(struct http_request *request, const char *data, size_t size)
{
    struct reader r = reader_of(data, size);
    *request = (struct http_request){0};
    if (r.at < r.end && *r.at == '\r') { /* an empty line after what came before */
        int rc = skip_line_end(&r, 414);
        if (rc != DONE)
            return rc;
    }
    int rc = parse_request_line(&r, request);
    if (rc == DONE)
        rc = parse_request_fields(&r, request);
    return rc == DONE ? r.at - data : rc;
}

/* ---- responses ---- */

static int parse_status_line(struct reader *r, struct http_response *response)
{
    int rc = parse_version(r, &response->minor);
    if (rc == DONE)
        rc = skip(r, ' ', 431);
    for (int i = 0; i < 3 && rc == DONE; i++) {
        if (r->at == r->end)
            return run_out(r, 431);
        if (*r->at < '0' + (i == 0) || *r->at > '9')
            return -400;
        response->status = response->status * 10 + (*r->at++ - '0');
    }
    if (rc != DONE)
        return rc;
    if (r->at < r->end && *r->at == ' ')
        r->at++;
    else if (r->at < r->end && *r->at != '\r')
        return -400;
    response->reason = take(r, VALUE);
    return skip_line_end(r, 431);
}

static int parse_response_fields(struct reader *r, struct http_response *response)
{
    static const struct known known[] = {
        KNOWN("Content-Type", http_response, content_type),
        KNOWN("Location", http_response, location),
    };
    struct common common = {0};
    struct field field;
    int rc;
    for (int n = 0; (rc = next_field(r, &field)) == DONE && field.name.size; n++) {
        if (n == HTTP_FIELDS_MOST)
            return -431;
        rc = note_common(&common, &field);
        if (rc == DONE)
            rc = keep_value(known, sizeof known / sizeof known[0], &field, response);
        if (rc != DONE)
            return rc;
    }
    if (rc != DONE)
        return rc;
    response->keep_alive = keeps_alive(&common, response->minor);
    rc = find_framing(&common, response->minor, HTTP_UNTIL_CLOSE, &response->body);
    if (response->status < 200 || response->status == 204 || response->status == 304)
        response->body.framing = HTTP_NO_BODY;
    return rc;
}

ssize_t http_parse_response(struct http_response *response, const char *data, size_t size)
{
    struct reader r = reader_of(data, size);
    *response = (struct http_response){0};
    int rc = parse_status_line(&r, response);
    if (rc == DONE)
        rc = parse_response_fields(&r, response);
    return rc == DONE ? r.at - data : rc;
}

/* ---- chunks ---- */

ssize_t http_parse_chunk_line(uint64_t *chunk, const char *data, size_t size)
{
    struct reader r = reader_of(data, size);
    uint64_t n = 0;
    int digits = 0;
    for (; r.at < r.end && http_hex_digit(*r.at) >= 0; r.at++) {
        if (++digits > 15)
            return -400;
        n = n * 16 + (unsigned)http_hex_digit(*r.at);
    }
    if (digits == 0 && r.at < r.end)
        return -400;
    if (r.at < r.end && *r.at == ';')
        take(&r, VALUE); /* an extension: nobody knows one */
    int rc = skip_line_end(&r, 400);
    *chunk = n;
    return rc == DONE ? r.at - data : rc;
}

ssize_t http_parse_trailer(const char *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct field field;
    int rc;
    for (int n = 0; (rc = next_field(&r, &field)) == DONE && field.name.size; n++)
        if (n == HTTP_FIELDS_MOST)
            return -431;
    return rc == DONE ? r.at - data : rc;
}
