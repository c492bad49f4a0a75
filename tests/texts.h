/* Patterns in what a dump or a report says. */
#ifndef CIO_TESTS_TEXTS_H
#define CIO_TESTS_TEXTS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debug/symbols.h"
#include "test.h"

/* The function stands on the stack while it waits: it is not inlined, and its calls return to it. */
#define FRAME __attribute__((noinline)) static
#define KEEP_FRAME() __asm__ volatile("")

/* Where `pattern`, an extended regular expression, first matches; NULL: nowhere. */
static inline const char *find_text(const char *text, const char *pattern)
{
    regex_t regex;
    regmatch_t match;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NEWLINE), 0);
    int rc = regexec(&regex, text, 1, &match, 0);
    regfree(&regex);
    return rc == 0 ? text + match.rm_so : NULL;
}

static inline void expect_text(const char *text, const char *pattern)
{
    if (!find_text(text, pattern))
        fail_msg("'%s' is not in:\n%s", pattern, text);
}

static inline void expect_no_text(const char *text, const char *pattern)
{
    if (find_text(text, pattern))
        fail_msg("'%s' is in:\n%s", pattern, text);
}

/* The line of a task, then a call of `function`, with no other task between. */
static inline void expect_frame(const char *text, const char *task, const char *function)
{
    if (!cio__symbols_load())
        return; /* functions that are not exported have no names then */
    char pattern[256];
    snprintf(pattern, sizeof pattern, "^  '%s' ", task);
    const char *from = find_text(text, pattern);
    if (!from) {
        fail_msg("no task '%s' in:\n%s", task, text);
        return;
    }
    const char *end = strstr(from + 1, "\n  '");
    snprintf(pattern, sizeof pattern, "^      %s \\([a-z_]+\\.[ch]:[0-9]+\\)$", function);
    const char *found = find_text(from, pattern);
    if (!found || (end && found > end))
        fail_msg("no %s() in '%s' in:\n%s", function, task, text);
}

/* What cio_dump() writes now. To be freed. */
__attribute__((noinline, unused)) static char *dump_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(cio_dump(stream), 0);
    fclose(stream);
    return text;
}

/* What is written to stderr, which goes into a pipe from now on. */
struct errors {
    int fd;
    int before;
    char text[65536];
    size_t size;
};

static inline void errors_catch(struct errors *errors)
{
    int fds[2];
    fflush(stderr);
    errors->size = 0;
    errors->text[0] = '\0';
    errors->before = dup(STDERR_FILENO);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    errors->fd = fds[0];
}

/* Reads, and blocks, until the pattern is there. */
static inline void errors_until(struct errors *errors, const char *pattern)
{
    while (!find_text(errors->text, pattern)) {
        struct pollfd poll_fd = {.fd = errors->fd, .events = POLLIN};
        assert_true(errors->size + 1 < sizeof errors->text);
        if (poll(&poll_fd, 1, -1) < 0)
            continue; /* a look at this thread interrupts it */
        ssize_t n = read(errors->fd, errors->text + errors->size,
                         sizeof errors->text - 1 - errors->size);
        if (n < 0 && errno == EINTR)
            continue;
        assert_true(n > 0);
        errors->size += (size_t)n;
        errors->text[errors->size] = '\0';
    }
}

/* stderr is what it was; the rest of what came is in the text. */
static inline void errors_end(struct errors *errors)
{
    fflush(stderr);
    dup2(errors->before, STDERR_FILENO);
    close(errors->before);
    ssize_t n;
    while ((n = read(errors->fd, errors->text + errors->size,
                     sizeof errors->text - 1 - errors->size)) > 0)
        errors->size += (size_t)n;
    errors->text[errors->size] = '\0';
    close(errors->fd);
}

#endif
