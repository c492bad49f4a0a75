/*
 * Streams over TLS, both ends ours: bytes, ends, and what is known of the connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

static int hello(void *arg)
{
    struct tls_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char line[100];
    cio_tls_info info;
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    int rc = connect_tls(&s, &server, context);
    if (rc < 0)
        print_error("%s: %s\n", cio_err_name(rc), cio_tls_why(NULL));
    assert_int_equal(rc, 0);
    assert_int_equal(cio_printf(s, "hello\n"), 6);
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    assert_string_equal(line, "hello\n");
    assert_int_equal(cio_tls_get_info(s, &info), 0);
    assert_string_equal(info.version, "TLSv1.3");
    assert_non_null(strstr(info.cipher, "AES"));
    assert_false(info.server);
    assert_true(info.has_certificate);
    assert_string_equal(info.subject, "CN=localhost");
    assert_string_equal(info.issuer, "CN=Test CA");
    assert_string_equal(cio_tls_why(s), "");
    assert_int_equal(cio_close(s), 0);
    stop_tls(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_client_and_a_server_speak_tls)
{
    assert_int_equal(run_quiet(hello, NULL), 0);
}
