/* HTTP heads: what the parser of examples/http takes, beside rules that are told plainly. */
#include "fuzz.h"

#include <cio.h>

#include "lib/date.h"
#include "lib/head.h"
#include "lib/path.h"
#include "lib/select.h"

/* ---- heads ---- */

typedef ssize_t parser(const char *data, size_t size);

static ssize_t parse_request(const char *data, size_t size)
{
    struct http_request request;
    return http_parse_request(&request, data, size);
}

static ssize_t parse_response(const char *data, size_t size)
{
    struct http_response response;
    return http_parse_response(&response, data, size);
}

static ssize_t parse_chunk_line(const char *data, size_t size)
{
    uint64_t chunk;
    return http_parse_chunk_line(&chunk, data, size);
}

static ssize_t parse_part(parser *parse, const char *data, size_t size)
{
    char *copy = fuzz_copy(data, size);
    ssize_t rc = parse(copy, size);
    free(copy);
    return rc;
}

/*
 * However the bytes are cut, the answer is the same: before the end of what is accepted more is
 * wanted, and what is refused stays refused.
 */
static void check_cuts(parser *parse, const char *data, size_t size, ssize_t whole)
{
    size_t until = whole > 0 ? (size_t)whole : size, step = until / 64 + 1;
    bool refused = false;
    FUZZ_CHECK(whole <= (ssize_t)size);
    for (size_t cut = 0; cut < until; cut += step) {
        ssize_t part = parse_part(parse, data, cut);
        FUZZ_CHECK(part <= 0);
        FUZZ_CHECK(!refused || part < 0);
        refused = part < 0;
        FUZZ_CHECK(!refused || part == whole);
    }
    if (whole > 0) {
        FUZZ_CHECK(parse_part(parse, data, until - 1) == 0);
        FUZZ_CHECK(parse_part(parse, data, until) == whole);
    }
}

static bool begins_with(const char *line, size_t size, const char *name)
{
    return size > strlen(name) && strncasecmp(line, name, strlen(name)) == 0 &&
           line[strlen(name)] == ':';
}

/* What a reader that is not ours could take for something else has no place in a head. */
static void check_lines(const char *data, size_t size)
{
    int lengths = 0, codings = 0;
    size_t begin = data[0] == '\r' ? 2 : 0;
    FUZZ_CHECK(size >= 4 && memcmp(data + size - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        FUZZ_CHECK(c != '\r' || (i + 1 < size && data[i + 1] == '\n'));
        FUZZ_CHECK(c != '\n' || (i > 0 && data[i - 1] == '\r'));
        FUZZ_CHECK((c >= ' ' && c != 0x7f) || c == '\t' || c == '\r' || c == '\n');
    }
    for (int n = 0; begin < size - 2; n++) {
        const char *line = data + begin;
        size_t length = (size_t)((char *)memchr(line, '\r', size - begin) - line);
        const char *colon = memchr(line, ':', length);
        FUZZ_CHECK(length > 0 && line[0] != ' ' && line[0] != '\t');
        FUZZ_CHECK(n == 0 || (colon && colon > line && colon[-1] != ' ' && colon[-1] != '\t'));
        lengths += begins_with(line, length, "Content-Length");
        codings += begins_with(line, length, "Transfer-Encoding");
        begin += length + 2;
    }
    FUZZ_CHECK(lengths + codings <= 1);
}

static bool lies_in(struct http_text text, const char *data, size_t size)
{
    return !text.at || text.size == 0 || (text.at >= data && text.at + text.size <= data + size) ||
           http_is(text, "/"); /* the path of a target without one */
}

static void check_path(struct http_text path)
{
    char decoded[HTTP_HEAD_MOST], encoded[HTTP_HEAD_MOST * 3], again[HTTP_HEAD_MOST];
    ssize_t size = http_decode_path(path, decoded, sizeof decoded);
    if (size < 0)
        return;
    FUZZ_CHECK(strlen(decoded) == (size_t)size && decoded[0] != '/');
    FUZZ_CHECK(!strstr(decoded, "//"));
    for (const char *up = decoded; (up = strstr(up, "..")); up++) {
        bool begins = up == decoded || up[-1] == '/', ends = up[2] == 0 || up[2] == '/';
        FUZZ_CHECK(!begins || !ends);
    }
    FUZZ_CHECK(http_encode_path(decoded, encoded, sizeof encoded) >= 0);
    FUZZ_CHECK(http_decode_path(http_text(encoded), again, sizeof again) == size);
    FUZZ_CHECK(strcmp(decoded, again) == 0);
}

/* What is chosen of a file lies in it, and is no more than there is. */
static void check_selection(const struct http_request *request)
{
    static const uint64_t sizes[] = {0, 1, 10, 1000000, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct http_file file = {.is.st_size = (off_t)sizes[i], .etag = "\"1\""};
        struct http_selection chosen;
        uint64_t sum = 0;
        http_select(&chosen, request, &file);
        FUZZ_CHECK((chosen.status == 206) == (chosen.n_ranges > 0));
        for (int k = 0; k < chosen.n_ranges; k++) {
            FUZZ_CHECK(chosen.ranges[k].size > 0 && chosen.ranges[k].size <= sizes[i]);
            FUZZ_CHECK(chosen.ranges[k].begin <= sizes[i] - chosen.ranges[k].size);
            sum += chosen.ranges[k].size;
        }
        FUZZ_CHECK(sum <= sizes[i]);
    }
}

static void check_request(const char *data, size_t size)
{
    struct http_request request;
    ssize_t head = http_parse_request(&request, data, size);
    check_cuts(parse_request, data, size, head);
    if (head <= 0) {
        FUZZ_CHECK(head == 0 || head == -400 || head == -414 || head == -431 || head == -501 ||
                   head == -505);
        return;
    }
    check_lines(data, (size_t)head);
    FUZZ_CHECK(lies_in(request.target, data, size) && lies_in(request.path, data, size) &&
               lies_in(request.query, data, size) && lies_in(request.host, data, size));
    FUZZ_CHECK(request.minor == 0 || request.host.at);
    FUZZ_CHECK(request.path.size > 0);
    check_path(request.path);
    check_selection(&request);
}

static void check_response(const char *data, size_t size)
{
    struct http_response response;
    ssize_t head = http_parse_response(&response, data, size);
    check_cuts(parse_response, data, size, head);
    if (head <= 0)
        return;
    check_lines(data, (size_t)head);
    FUZZ_CHECK(response.status >= 100 && response.status <= 999);
}

static void check_date(const char *data, size_t size)
{
    char text[HTTP_DATE_SIZE + 1];
    time_t date, again;
    if (!http_parse_date((struct http_text){data, size}, &date) || date < 0)
        return;
    http_format_date(text, date);
    FUZZ_CHECK(strlen(text) == HTTP_DATE_SIZE);
    FUZZ_CHECK(http_parse_date(http_text(text), &again) && again == date);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char kind = (char)data[0], *text = fuzz_copy(data + 1, size - 1);
    size--;
    switch (kind) {
    case 'r': check_response(text, size); break;
    case 'c': check_cuts(parse_chunk_line, text, size, parse_chunk_line(text, size)); break;
    case 't': check_cuts(http_parse_trailer, text, size, http_parse_trailer(text, size)); break;
    case 'd': check_date(text, size); break;
    case 'p': check_path((struct http_text){text, size}); break;
    default: check_request(text, size); break;
    }
    free(text);
    return 0;
}
