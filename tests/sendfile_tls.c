/* Files over TLS: read and written, in order with the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "test.h"
#include "tls.h"

enum { BIG = 1000000 };

static int send_file(cio_stream *s, void *arg)
{
    const cio_sendfile_options native = {.native_only = true};
    int file = *(int *)arg;
    if (!test_kernel_tls())
        assert_int_equal(cio_sendfile_with(s, file, 0, BIG, &native), -EOPNOTSUPP);
    assert_int_equal(cio_printf(s, "begin\n"), 6);
    assert_int_equal(cio_sendfile(s, file, 0, CIO_TO_END), BIG);
    return cio_printf(s, "end\n");
}

static int over_tls(void *arg)
{
    struct tls_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char line[100], *data = malloc(BIG);
    (void)arg;
    assert_non_null(data);
    int file = file_make(BIG, 7);
    serve_tls(&server, send_file, &file, NULL);
    assert_int_equal(connect_tls(&s, &server, context), 0);
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    assert_int_equal(cio_read_exactly(s, data, BIG), BIG);
    net_check(data, BIG, 7, 0);
    assert_int_equal(cio_read_line(s, line, sizeof line), 4);
    assert_int_equal(cio_read_line(s, line, sizeof line), 0);
    assert_int_equal(cio_close(s), 0);
    stop_tls(&server);
    cio_tls_context_free(context);
    close(file);
    free(data);
    return 0;
}

TEST(t64_a_file_over_tls_is_read_and_written)
{
    assert_int_equal(run_quiet(over_tls, NULL), 0);
}
