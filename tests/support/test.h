/*
 * What every test file includes: cmocka, cio, and TEST.
 *
 *     TEST(sleep_waits)
 *     {
 *         assert_int_equal(cio_run(main_task, NULL), 0);
 *     }
 *
 * A test runs in its own process, within 20 seconds (TEST_SLOW: 120), and leaves no file descriptor open.
 * A failed assertion aborts at once, also on a coroutine's stack: there is no frame to jump back to.
 */
#ifndef CIO_TESTS_TEST_H
#define CIO_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cio.h>

struct test {
    const char *name;
    void (*run)(void **state);
    struct test *next;
};

/* Appends t to the list of this program's tests; TEST calls it before main. */
void test_register(struct test *t);

/* n, or about a tenth of it (never 0 of something) where the machine is slow: sanitizers, valgrind, qemu. */
int test_scale(int n);

/* True under a sanitizer, valgrind or qemu. */
bool test_is_slow(void);

/* True under ThreadSanitizer, which has a thread of its own and allows none in forked children. */
bool test_is_tsan(void);

/* True under AddressSanitizer or ThreadSanitizer, which catch the signals of crashes. */
bool test_is_sanitized(void);

/* True under valgrind, which keeps descriptors of its own above the limit. */
bool test_is_valgrind(void);

/* The number of open file descriptors. */
int test_count_fds(void);

/* Ends the test as skipped: what it needs is not there (a kernel feature, a permission). */
_Noreturn void test_skip(const char *reason);

/* cmocka's own leaves by longjmp. */
#undef skip
#define skip() test_skip("no reason given")

#define TEST(test_name)                                                                            \
    static void test_##test_name(void **state);                                                    \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct test t = {.name = #test_name, .run = test_##test_name};                      \
        test_register(&t);                                                                         \
    }                                                                                              \
    static void test_##test_name(__attribute__((unused)) void **state)

#define TEST_SLOW(test_name) TEST(test_name)

#endif
