/*
 * Error codes, their names and texts; the last error of a thread; the exception handler; the
 * version.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

enum { LARGEST_ERRNO = 4095 };

static const struct {
    int code;
    const char *name, *text;
} own_errors[] = {
#define ROW(code, value, text) {code, #code, text},
    CIO_ERRORS(ROW)
#undef ROW
};

enum { N_OWN_ERRORS = sizeof own_errors / sizeof own_errors[0] };

TEST(own_errors_have_names_and_texts)
{
    for (int i = 0; i < N_OWN_ERRORS; i++) {
        assert_string_equal(cio_err_name(own_errors[i].code), own_errors[i].name);
        assert_string_equal(cio_strerror(own_errors[i].code), own_errors[i].text);
        assert_ptr_equal(cio_strerror(own_errors[i].code), cio_strerror(own_errors[i].code));
    }
}

/* So that our timeout is never taken for the kernel's, nor one of ours for another. */
TEST(own_errors_are_below_every_errno_and_distinct)
{
    for (int i = 0; i < N_OWN_ERRORS; i++) {
        assert_true(own_errors[i].code < -LARGEST_ERRNO);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(own_errors[i].code, own_errors[k].code);
    }
    assert_string_not_equal(cio_err_name(CIO_ETIMEDOUT), cio_err_name(-ETIMEDOUT));
}

TEST(success_is_said_of_every_result)
{
    static const int results[] = {0, 1, 7, 4097, INT_MAX};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        assert_string_equal(cio_err_name(results[i]), "OK");
        assert_string_equal(cio_strerror(results[i]), "success");
    }
}

TEST(negated_errno_has_its_own_name_and_text)
{
    static const struct {
        int code;
        const char *name;
    } errors[] = {
        {EPERM, "EPERM"},         {ENOENT, "ENOENT"},         {EINTR, "EINTR"},
        {EBADF, "EBADF"},         {ENOMEM, "ENOMEM"},         {EINVAL, "EINVAL"},
        {EMFILE, "EMFILE"},       {ENFILE, "ENFILE"},         {EPIPE, "EPIPE"},
        {EAGAIN, "EAGAIN"},       {ECONNRESET, "ECONNRESET"}, {ECONNREFUSED, "ECONNREFUSED"},
        {ETIMEDOUT, "ETIMEDOUT"}, {EADDRINUSE, "EADDRINUSE"}, {EHWPOISON, "EHWPOISON"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_string_equal(cio_err_name(-errors[i].code), errors[i].name);
        assert_string_equal(cio_strerror(-errors[i].code), strerror(errors[i].code));
    }
}

/* Every one that the C library knows; the two gaps in Linux's list, and all beyond, are unknown. */
TEST(all_errnos_are_named)
{
    for (int code = 1; code <= EHWPOISON; code++) {
        bool gap = code == 41 || code == 58;
        const char *name = cio_err_name(-code);
        if (gap) {
            assert_string_equal(name, "?");
            continue;
        }
        assert_int_equal(name[0], 'E');
        for (const char *c = name; *c; c++)
            assert_true(isupper((unsigned char)*c) || isdigit((unsigned char)*c));
        assert_string_not_equal(cio_strerror(-code), "unknown error");
    }
}

TEST(unknown_errors_are_said_to_be_so)
{
    static const int unknown[] = {-41, -200, -LARGEST_ERRNO, -4096, -9999, INT_MIN, INT_MIN + 1};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_string_equal(cio_err_name(unknown[i]), "?");
        assert_string_equal(cio_strerror(unknown[i]), "unknown error");
    }
    int lowest = own_errors[0].code;
    for (int i = 0; i < N_OWN_ERRORS; i++)
        lowest = own_errors[i].code < lowest ? own_errors[i].code : lowest;
    assert_string_equal(cio_err_name(lowest - 1), "?");
    assert_string_equal(cio_strerror(lowest - 1), "unknown error");
}

/* The strings are static: asking for another one does not change the first. */
TEST(texts_stay_as_they_are)
{
    const char *text = cio_strerror(-ENOENT), *unknown = cio_strerror(-9999);
    char *copy = strdup(text);
    cio_strerror(-EPERM);
    cio_strerror(-8888);
    assert_string_equal(text, copy);
    assert_string_equal(unknown, "unknown error");
    free(copy);
}

enum { N_ASKED = 40 };
static char *texts[N_ASKED];

static void *ask_for_texts(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        assert_string_equal(cio_strerror(-(i % N_ASKED) - 1), texts[i % N_ASKED]);
        assert_string_equal(cio_err_name(CIO_ECANCELED), "CIO_ECANCELED");
    }
    return arg;
}

TEST(threads_may_ask_for_texts_at_once)
{
    pthread_t threads[4];
    for (int i = 0; i < N_ASKED; i++)
        texts[i] = strdup(strerror(i + 1));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_texts, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < N_ASKED; i++)
        free(texts[i]);
}

/* --- why a pointer is NULL ------------------------------------------------------------------- */

static void *fail_in_thread(void *arg)
{
    assert_int_equal(cio_last_error(), 0);
    assert_null(cio_loop_new(&(cio_loop_options){.backend = "nonsense"}));
    assert_int_equal(cio_last_error(), -EINVAL);
    return arg;
}

TEST(last_error_is_the_threads_own)
{
    pthread_t thread;
    assert_int_equal(cio_last_error(), 0);
    assert_int_equal(pthread_create(&thread, NULL, fail_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(cio_last_error(), 0);
    assert_null(cio_future_new());
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_null(cio_loop_new(&(cio_loop_options){.stack_size = 1}));
    assert_int_equal(cio_last_error(), -EINVAL);
    assert_null(cio_create_future(NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
}

/* --- the exception handler ------------------------------------------------------------------- */

struct heard {
    cio_loop *loop;
    int n, error;
    char message[64], name[64];
    const cio_future *future;
};

static void hear(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    struct heard *heard = arg;
    assert_ptr_equal(loop, heard->loop);
    heard->n++;
    heard->error = context->error;
    heard->future = context->future;
    snprintf(heard->message, sizeof heard->message, "%s", context->message);
    snprintf(heard->name, sizeof heard->name, "%s", context->name ? context->name : "(null)");
}

TEST(exception_handler_is_called_with_the_context)
{
    struct heard heard = {.loop = new_loop()};
    cio_exception_context context = {.message = "it broke", .error = -EIO, .name = "x"};
    assert_int_equal(cio_set_exception_handler(heard.loop, hear, &heard), 0);
    assert_int_equal(cio_call_exception_handler(heard.loop, &context), 0);
    assert_int_equal(heard.n, 1);
    assert_int_equal(heard.error, -EIO);
    assert_string_equal(heard.message, "it broke");
    assert_string_equal(heard.name, "x");
    assert_null(heard.future);
    free_loop(heard.loop);
    assert_int_equal(heard.n, 1);
}

/* Sends stderr to a file for as long as fn runs; returns what was written, to be freed. */
static char *capture_stderr(void (*fn)(cio_loop *), cio_loop *loop)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    fn(loop);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);

    char *text = calloc(1, 4096);
    rewind(file);
    size_t length = fread(text, 1, 4095, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void report_something(cio_loop *loop)
{
    cio_exception_context context = {.message = "it broke", .error = -ENOENT, .name = "worker 7"};
    assert_int_equal(cio_call_exception_handler(loop, &context), 0);
}

/* One line, with everything that is known in it. */
TEST(default_exception_handler_writes_a_line)
{
    cio_loop *loop = new_loop();
    char *text = capture_stderr(report_something, loop);
    assert_non_null(strstr(text, "it broke"));
    assert_non_null(strstr(text, "worker 7"));
    assert_true(strstr(text, "ENOENT") || strstr(text, strerror(ENOENT)));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    free(text);
    free_loop(loop);
}

static void report_with_little(cio_loop *loop)
{
    assert_int_equal(cio_call_exception_handler(loop, &(cio_exception_context){0}), 0);
    assert_int_equal(cio_call_exception_handler(loop, &(cio_exception_context){.error = -1}), 0);
    assert_int_equal(cio_call_exception_handler(loop, &(cio_exception_context){.name = "n"}), 0);
}

TEST(default_exception_handler_does_without_a_message)
{
    cio_loop *loop = new_loop();
    char *text = capture_stderr(report_with_little, loop);
    int n_lines = 0;
    for (const char *c = text; *c; c++)
        n_lines += *c == '\n';
    assert_int_equal(n_lines, 3);
    assert_null(strstr(text, "(null)"));
    free(text);
    free_loop(loop);
}

TEST(null_handler_puts_the_default_back)
{
    struct heard heard = {.loop = new_loop()};
    cio_set_exception_handler(heard.loop, hear, &heard);
    assert_int_equal(cio_set_exception_handler(heard.loop, NULL, NULL), 0);
    char *text = capture_stderr(report_something, heard.loop);
    assert_non_null(strstr(text, "it broke"));
    assert_int_equal(heard.n, 0);
    free(text);
    free_loop(heard.loop);
}

/* --- the version ----------------------------------------------------------------------------- */

TEST(version_is_that_of_the_headers)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", CIO_VERSION_MAJOR, CIO_VERSION_MINOR,
             CIO_VERSION_PATCH);
    assert_string_equal(CIO_VERSION, version);
    assert_string_equal(cio_version(), version);
    assert_ptr_equal(cio_version(), cio_version());
}
