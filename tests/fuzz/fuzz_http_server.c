/*
 * Connections of examples/http_files: whatever a client sends, in pieces of any size, there is one
 * well-formed answer for each request, and none for what is not one.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include <cio.h>

#include "lib/head.h"
#include "lib/serve.h"

enum { ANSWERS_MOST = 1 << 20, PAUSES_MOST = 50 };

static struct http_server server = {
    .idle_timeout_s = 60, .head_timeout_s = 60, .send_timeout_s = 60};
static char directory[] = "/tmp/cio-fuzz-XXXXXX";
static const char *const files[][2] = {
    {"index.html", "<p>home</p>"}, {"empty", ""}, {"a.txt", "0123456789"}};

static void delete_files(void)
{
    char path[64];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
        unlink(path);
    }
    rmdir(directory);
}

static void make_server(void)
{
    char path[64];
    if (server.boundary[0])
        return;
    FUZZ_CHECK(mkdtemp(directory));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
        FILE *file = fopen(path, "we");
        FUZZ_CHECK(file && fputs(files[i][1], file) >= 0 && fclose(file) == 0);
    }
    atexit(delete_files);
    FUZZ_CHECK(http_files_init(&server.files, directory) == 0);
    http_server_init(&server);
}

struct run {
    struct fuzz_input script;
    const char *data;
    size_t size;
    cio_stream *stream;
    char *answers;
    size_t n_answered; /* bytes */
};

static int feed(void *arg)
{
    struct run *run = arg;
    size_t sent = 0;
    int n_pauses = 0;
    while (sent < run->size) {
        size_t piece = 1 + fuzz_byte(&run->script) * 4;
        if (piece > run->size - sent)
            piece = run->size - sent;
        if (cio_write(run->stream, run->data + sent, piece) < 0)
            return 0; /* it has heard enough */
        sent += piece;
        if (fuzz_byte(&run->script) & 3 &&
            n_pauses++ < PAUSES_MOST) /* with nothing to do, the loop asks the kernel */
            FUZZ_CHECK(cio_sleep(1e-9) == 0);
    }
    cio_write_eof(run->stream);
    return 0;
}

static int run_main(void *arg)
{
    struct run *run = arg;
    char name[32];
    cio_server *listener;
    ssize_t n;
    snprintf(name, sizeof name, "@cio-fuzz-%d", (int)getpid());
    FUZZ_CHECK(cio_start_unix_server(&listener, http_serve, &server, name, NULL) == 0);
    FUZZ_CHECK(cio_open_unix_connection(&run->stream, name, NULL) == 0);
    cio_task *feeder = cio_create_task(feed, run);
    FUZZ_CHECK(feeder);
    while ((n = cio_read(run->stream, run->answers + run->n_answered,
                         ANSWERS_MOST - run->n_answered)) > 0)
        run->n_answered += (size_t)n;
    FUZZ_CHECK(run->n_answered < ANSWERS_MOST);
    FUZZ_CHECK(cio_await(feeder) == 0);
    cio_abort(run->stream);
    cio_server_close(listener);
    FUZZ_CHECK(cio_server_wait_closed(listener) == 0);
    return cio_server_free(listener);
}

/* One answer, from a position on. Returns the position after it. */
static size_t check_answer(const struct run *run, size_t at, const struct http_request *request,
                           int refused)
{
    struct http_response answer;
    ssize_t head = http_parse_response(&answer, run->answers + at, run->n_answered - at);
    FUZZ_CHECK(head > 0);
    at += (size_t)head;
    FUZZ_CHECK(refused ? answer.status == refused : answer.status >= 200);
    if (!refused && request->method == HTTP_HEAD)
        return at;
    FUZZ_CHECK(answer.body.framing == HTTP_LENGTH || answer.status == 304);
    FUZZ_CHECK(answer.body.length <= run->n_answered - at);
    return at + (size_t)answer.body.length;
}

/* Reads the requests once more, all at once, and compares. */
static void check_answers(const struct run *run)
{
    size_t at = 0, asked = 0;
    bool last = false;
    while (!last) {
        struct http_request request;
        ssize_t head = http_parse_request(&request, run->data + asked, run->size - asked);
        if (head == 0)
            break;
        at = check_answer(run, at, &request, head < 0 ? (int)-head : 0);
        asked += head > 0 ? (size_t)head : 0;
        last = head < 0 || !request.keep_alive || request.body.framing == HTTP_CHUNKED ||
               request.body.length > 0;
    }
    FUZZ_CHECK(at == run->n_answered);
}

/* The first bytes tell how it is cut, up to a zero; the others are sent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    if (!zero)
        return 0;
    size_t script = (size_t)(zero - data);
    make_server();
    struct run run = {.script = {data, script}, .size = size - script - 1};
    char *copy = fuzz_copy(zero + 1, run.size);
    run.data = copy;
    run.answers = malloc(ANSWERS_MOST);
    FUZZ_CHECK(run.answers);
    FUZZ_CHECK(cio_run(run_main, &run) == 0);
    check_answers(&run);
    free(run.answers);
    free(copy);
    return 0;
}
