/* Names and addresses: what is found, in which form, and who looks. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"
#include "resolver.h"
#include "test.h"
#include "texts.h"

/* An address as one line: family, type, protocol, address, port. */
static const char *line_of(const struct addrinfo *a)
{
    static char line[NI_MAXHOST + NI_MAXSERV + 40];
    char host[NI_MAXHOST], service[NI_MAXSERV];
    assert_int_equal(cio_getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, service,
                                     sizeof service, NI_NUMERICHOST | NI_NUMERICSERV),
                     0);
    snprintf(line, sizeof line, "%d/%d/%d:%s:%s",
             a->ai_family == AF_INET    ? 4
             : a->ai_family == AF_INET6 ? 6
                                        : 0,
             a->ai_socktype, a->ai_protocol, host, service);
    return line;
}

/* All that is found, or the error's name, as one line. */
static const char *look_up(const char *host, const char *service, const struct addrinfo *hints)
{
    struct addrinfo *all = (struct addrinfo *)&all;
    notes_clear();
    int rc = cio_getaddrinfo(host, service, hints, &all);
    if (rc < 0) {
        assert_null(all);
        return cio_err_name(rc);
    }
    for (const struct addrinfo *a = all; a; a = a->ai_next)
        note("%s", line_of(a));
    cio_freeaddrinfo(all);
    return noted();
}

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM},
                             datagram = {.ai_socktype = SOCK_DGRAM};

/* ---- numbers ---- */

static void check_numbers(void)
{
    struct addrinfo passive = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    assert_string_equal(look_up("127.0.0.1", "80", &stream), "4/1/6:127.0.0.1:80");
    assert_string_equal(look_up("::1", "80", &stream), "6/1/6:::1:80");
    assert_string_equal(look_up("::ffff:10.0.0.1", "0", &stream), "6/1/6:::ffff:10.0.0.1:0");
    assert_string_equal(look_up("127.0.0.1", "65535", &datagram), "4/2/17:127.0.0.1:65535");
    assert_string_equal(look_up("10.1.2.3", NULL, &stream), "4/1/6:10.1.2.3:0");
    assert_string_equal(look_up("10.1.2.3", "", &stream), "4/1/6:10.1.2.3:0");
    assert_string_equal(look_up("10.1.2.3", "7", NULL),
                        "4/1/6:10.1.2.3:7 4/2/17:10.1.2.3:7 4/3/0:10.1.2.3:7");
    assert_string_equal(look_up(NULL, "7", &stream), "6/1/6:::1:7 4/1/6:127.0.0.1:7");
    assert_string_equal(look_up(NULL, "7", &passive), "4/1/6:0.0.0.0:7 6/1/6::::7");
    passive.ai_family = AF_INET6;
    assert_string_equal(look_up(NULL, "7", &passive), "6/1/6::::7");
    assert_string_equal(look_up("::1", "7", &passive), "6/1/6:::1:7");
    passive.ai_family = AF_INET;
    assert_string_equal(look_up(NULL, "7", &passive), "4/1/6:0.0.0.0:7");
    assert_int_equal(resolver.numbers, 0); /* the C library was not asked */
    assert_int_equal(resolver.finished, 0);
}

/* No task, not even a loop, is needed. */
TEST(numbers_need_no_loop)
{
    check_numbers();
}

static int numbers_in_task(void *arg)
{
    check_numbers();
    (void)arg;
    return 0;
}

TEST(numbers_in_a_task)
{
    assert_int_equal(run_quiet(numbers_in_task, NULL), 0);
}

/* Everything that is asked for in an unusual way, the C library says; but nobody waits for it. */
TEST(other_numbers_are_the_c_librarys)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    assert_string_equal(look_up("127.1", "80", &hints), "4/1/6:127.0.0.1:80");
    assert_string_equal(look_up("no number", "80", &hints), "CIO_EAI_NONAME");
    assert_string_equal(look_up("::1%3", "80", &stream), "6/1/6:::1%3:80");
    hints = (struct addrinfo){.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    hints.ai_flags = AI_V4MAPPED;
    assert_string_equal(look_up("10.0.0.1", "80", &hints), "6/1/6:::ffff:10.0.0.1:80");
    hints.ai_flags = 0;
    assert_string_equal(look_up("10.0.0.1", "80", &hints), "CIO_EAI_ADDRFAMILY");
    hints.ai_family = AF_INET;
    assert_string_equal(look_up("::1", "80", &hints), "CIO_EAI_ADDRFAMILY");
    hints = (struct addrinfo){.ai_family = AF_UNIX};
    assert_string_equal(look_up("10.0.0.1", "80", &hints), "CIO_EAI_FAMILY");
    hints = (struct addrinfo){.ai_socktype = 77};
    assert_string_equal(look_up("10.0.0.1", "80", &hints), "CIO_EAI_SOCKTYPE");
    hints = (struct addrinfo){.ai_flags = 1 << 30};
    assert_string_equal(look_up("10.0.0.1", "80", &hints), "CIO_EAI_BADFLAGS");
    hints = (struct addrinfo){.ai_flags = AI_CANONNAME};
    assert_string_equal(look_up(NULL, "80", &hints), "CIO_EAI_BADFLAGS");
    hints = (struct addrinfo){.ai_socktype = SOCK_RAW, .ai_protocol = IPPROTO_ICMP};
    assert_string_equal(look_up("10.0.0.1", NULL, &hints), "4/3/1:10.0.0.1:0");
    assert_int_equal(resolver.finished, 0);
    assert_int_equal(resolver.lists, 0);
}

/* A scope is kept, by number and by name. */
TEST(t73_scope_of_an_address)
{
    struct addrinfo *all;
    assert_int_equal(cio_getaddrinfo("fe80::1%lo", "80", &stream, &all), 0);
    const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)all->ai_addr;
    assert_int_equal(address->sin6_scope_id, 1);
    char host[NI_MAXHOST];
    assert_int_equal(
        cio_getnameinfo(all->ai_addr, all->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST),
        0);
    assert_string_equal(host, "fe80::1%lo");
    cio_freeaddrinfo(all);
    assert_int_equal(cio_getaddrinfo("fe80::1%7", "80", &stream, &all), 0);
    assert_int_equal(((const struct sockaddr_in6 *)all->ai_addr)->sin6_scope_id, 7);
    cio_freeaddrinfo(all);
    assert_string_equal(look_up("fe80::1%no-such-interface", "80", &stream), "CIO_EAI_NONAME");
}

TEST(canonical_name_of_a_number)
{
    struct addrinfo *all, hints = {.ai_flags = AI_CANONNAME};
    assert_int_equal(cio_getaddrinfo("10.0.0.1", "80", &hints, &all), 0);
    assert_string_equal(all->ai_canonname, "10.0.0.1");
    assert_null(all->ai_next->ai_canonname);
    cio_freeaddrinfo(all);
}

TEST(bad_input)
{
    struct addrinfo *all, numeric = {.ai_flags = AI_NUMERICSERV};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[100], long_host[2000];
    memset(long_host, 'x', sizeof long_host - 1);
    long_host[sizeof long_host - 1] = 0;
    assert_int_equal(cio_getaddrinfo("10.0.0.1", "80", NULL, NULL), -EINVAL);
    assert_string_equal(look_up(NULL, NULL, NULL), "CIO_EAI_NONAME");
    assert_string_equal(look_up("", "80", NULL), "CIO_EAI_NONAME");
    assert_string_equal(look_up(long_host, "80", NULL), "CIO_EAI_NONAME");
    assert_string_equal(look_up("10.0.0.1", long_host, NULL), "CIO_EAI_SERVICE");
    assert_string_equal(look_up("10.0.0.1", "65536", NULL), "CIO_EAI_SERVICE");
    assert_string_equal(look_up("10.0.0.1", "99999999999999999999", NULL), "CIO_EAI_SERVICE");
    assert_string_equal(look_up("10.0.0.1", "http", &numeric), "CIO_EAI_NONAME");
    assert_int_equal(cio_getaddrinfo("a.test", "80", NULL, &all), CIO_ENOTASK);
    assert_null(all);
    cio_freeaddrinfo(NULL);
    struct sockaddr *address = (struct sockaddr *)&in;
    assert_int_equal(cio_getnameinfo(NULL, 0, text, sizeof text, NULL, 0, 0), -EINVAL);
    assert_int_equal(cio_getnameinfo(address, sizeof in, NULL, 0, NULL, 0, 0), CIO_EAI_NONAME);
    assert_int_equal(cio_getnameinfo(address, sizeof in, text, 0, text, 0, 0), CIO_EAI_NONAME);
    assert_int_equal(cio_getnameinfo(address, 3, text, sizeof text, NULL, 0, 0), CIO_EAI_FAMILY);
    assert_int_equal(cio_getnameinfo(address, 100000, text, sizeof text, NULL, 0, 0),
                     CIO_EAI_FAMILY);
    assert_int_equal(cio_getnameinfo((struct sockaddr *)&un, sizeof un, text, sizeof text, NULL, 0,
                                     NI_NUMERICHOST),
                     CIO_EAI_FAMILY);
    assert_int_equal(cio_getnameinfo(address, sizeof in, text, sizeof text, NULL, 0, 0),
                     CIO_ENOTASK);
    assert_int_equal(cio_getnameinfo(address, sizeof in, text, 3, NULL, 0, NI_NUMERICHOST),
                     CIO_EAI_OVERFLOW);
}

/* ---- names ---- */

static int names(void *arg)
{
    struct addrinfo hints = stream;
    (void)arg;
    assert_string_equal(look_up("two.test", "80", &stream), "6/1/6:::1:80 4/1/6:127.0.0.1:80");
    assert_false(pthread_equal(resolver.thread, pthread_self()));
    hints.ai_family = AF_INET;
    assert_string_equal(look_up("two.test", "80", &hints), "4/1/6:127.0.0.1:80");
    hints.ai_family = AF_INET6;
    assert_string_equal(look_up("two.test", "80", &hints), "6/1/6:::1:80");
    assert_string_equal(look_up("two.test", NULL, &datagram), "6/2/17:::1:0 4/2/17:127.0.0.1:0");
    assert_int_equal(resolver.lists, 0);
    assert_int_equal(resolver.most, 1); /* one thread was enough */
    return 0;
}

TEST(names_are_looked_up_in_a_thread)
{
    resolver_say("two.test", "::1 127.0.0.1");
    assert_int_equal(run_quiet(names, NULL), 0);
}

/* The machine's own: /etc/hosts and /etc/services, as the C library has them. */
static int real_names(void *arg)
{
    char name[NI_MAXHOST];
    const char *line;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    (void)arg;
    line = look_up("localhost", "80", &hints); /* some files have it twice */
    assert_int_equal(strncmp(line, "4/1/6:127.0.0.1:80", 18), 0);
    line = look_up("127.0.0.1", "http", &hints);
    assert_true(strcmp(line, "4/1/6:127.0.0.1:80") == 0 || access("/etc/services", R_OK) != 0);
    assert_string_equal(look_up("127.0.0.1", "no-such-service", &hints), "CIO_EAI_SERVICE");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(
        cio_getnameinfo((struct sockaddr *)&in, sizeof in, name, sizeof name, NULL, 0, NI_NAMEREQD),
        0);
    assert_int_equal(strncmp(look_up(name, "80", &hints), "4/1/6:127.0.0.1:80", 18), 0);
    in.sin_port = htons(80);
    assert_int_equal(
        cio_getnameinfo((struct sockaddr *)&in, sizeof in, NULL, 0, name, sizeof name, 0), 0);
    assert_true(strcmp(name, "http") == 0 || access("/etc/services", R_OK) != 0);
    assert_int_equal(cio_getnameinfo((struct sockaddr *)&in, sizeof in, name, 2, NULL, 0, 0),
                     CIO_EAI_OVERFLOW);
    return 0;
}

TEST(names_of_this_machine)
{
    assert_int_equal(run_quiet(real_names, NULL), 0);
}

/* What the resolver says is told apart, and has a name. */
static int errors(void *arg)
{
    static const struct {
        int code, error;
        const char *name;
    } said[] = {{EAI_NONAME, 0, "CIO_EAI_NONAME"},
                {EAI_AGAIN, 0, "CIO_EAI_AGAIN"},
                {EAI_FAIL, 0, "CIO_EAI_FAIL"},
                {EAI_MEMORY, 0, "ENOMEM"},
                {EAI_SYSTEM, EMFILE, "EMFILE"},
                {EAI_SYSTEM, 0, "CIO_EAI_FAIL"},
                {EAI_SERVICE, 0, "CIO_EAI_SERVICE"},
                {EAI_SOCKTYPE, 0, "CIO_EAI_SOCKTYPE"},
                {EAI_FAMILY, 0, "CIO_EAI_FAMILY"},
                {-77, 0, "CIO_EAI_FAIL"},
#ifdef EAI_NODATA
                {EAI_NODATA, 0, "CIO_EAI_NODATA"},
#endif
#ifdef EAI_ADDRFAMILY
                {EAI_ADDRFAMILY, 0, "CIO_EAI_ADDRFAMILY"},
#endif
                {EAI_OVERFLOW, 0, "CIO_EAI_OVERFLOW"}};
    (void)arg;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        resolver.n_said = 0;
        resolver_fail("bad.test", said[i].code, said[i].error);
        assert_string_equal(look_up("bad.test", "80", &stream), said[i].name);
    }
    return 0;
}

TEST(errors_are_told_apart)
{
    assert_int_equal(run_quiet(errors, NULL), 0);
}

/* ---- threads ---- */

static int look_up_one(void *host)
{
    struct addrinfo *all;
    int rc = cio_getaddrinfo(host, "80", &stream, &all);
    if (rc == 0)
        cio_freeaddrinfo(all);
    return rc;
}

static int give_back(void *arg)
{
    return *(int *)arg;
}

enum { MANY = 100 };

/* The threads are as many as they may be, and not those of the program's own jobs. */
static int many(void *arg)
{
    cio_task *tasks[MANY];
    int seven = 7;
    (void)arg;
    resolver_hold(true);
    for (int i = 0; i < MANY; i++)
        tasks[i] = cio_create_task(look_up_one, "a.test");
    resolver_await(&resolver.running, CIO_NAME_THREADS);
    assert_int_equal(cio_to_thread(give_back, &seven), 7);
    assert_string_equal(look_up("127.0.0.1", "80", &stream), "4/1/6:127.0.0.1:80");
    assert_int_equal(resolver_count(&resolver.running), CIO_NAME_THREADS);
    resolver_hold(false);
    assert_int_equal(cio_gather(tasks, MANY, 0), 0);
    assert_int_equal(resolver.finished, MANY);
    assert_int_equal(resolver.most, CIO_NAME_THREADS);
    assert_int_equal(resolver.lists, 0);
    return 0;
}

TEST(threads_are_bounded_and_their_own)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(many, NULL), 0);
}

static int read_byte(void *arg)
{
    char byte;
    return (int)read(((int *)arg)[0], &byte, 1);
}

static int read_in_thread(void *fds)
{
    return cio_to_thread(read_byte, fds);
}

/* The jobs of all of the program's own threads do not hold up a lookup. */
static int blocked_executor(void *arg)
{
    cio_executor *one = cio_executor_new(&(cio_executor_options){.max_threads = 1});
    assert_int_equal(cio_set_default_executor(cio_get_running_loop(), one), 0);
    int fds[2];
    (void)arg;
    assert_int_equal(pipe(fds), 0);
    cio_task *blocked = cio_create_task(read_in_thread, fds);
    cio_yield();
    assert_int_equal(look_up_one("a.test"), 0);
    assert_false(cio_done(blocked));
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(cio_await(blocked), 1);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(threads_of_jobs_do_not_hold_up_lookups)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(blocked_executor, NULL), 0);
}

/* Their threads end with the run: the next run has others. */
TEST(threads_end_with_the_run)
{
    resolver_say("a.test", "127.0.0.1");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run_quiet(look_up_one, "a.test"), 0);
        assert_int_equal(resolver.finished, i + 1);
    }
}

static int look_up_address(void *arg)
{
    char host[NI_MAXHOST];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f00004d)};
    (void)arg;
    return cio_getnameinfo((struct sockaddr *)&in, sizeof in, host, sizeof host, NULL, 0, 0);
}

/* A dump says who waits for which name. */
static int told(void *arg)
{
    char text[8000];
    (void)arg;
    resolver_hold(true);
    cio_task *task = cio_create_task(look_up_one, "a.test");
    cio_task *reverse = cio_create_task(look_up_address, NULL);
    resolver_await(&resolver.running, 2);
    FILE *file = fmemopen(text, sizeof text, "w");
    assert_int_equal(cio_dump(file), 0);
    fclose(file);
    assert_non_null(strstr(text, "cio_getaddrinfo"));
    assert_non_null(strstr(text, "the addresses of a.test"));
    assert_non_null(strstr(text, "cio_getnameinfo"));
    assert_non_null(strstr(text, "the name of 127.0.0.77"));
    resolver_hold(false);
    cio_await(reverse);
    return cio_await(task);
}

TEST(waits_are_told)
{
    resolver_say("a.test", "127.0.0.1");
    assert_int_equal(run_quiet(told, NULL), 0);
}

/* Debug mode tells of lookups that take long, also of those that fail. */
static int look_up_slowly(void *arg)
{
    (void)arg;
    resolver_hold(true);
    cio_task *tasks[] = {cio_create_task(look_up_one, "a.test"),
                         cio_create_task(look_up_one, "none.test"),
                         cio_create_task(look_up_address, NULL)};
    resolver_await(&resolver.running, 3);
    cio_sleep(0.03);
    resolver_hold(false);
    return cio_wait(tasks, 3, CIO_ALL_COMPLETED, CIO_FOREVER) == 3 && cio_await(tasks[0]) == 0 &&
                   cio_await(tasks[1]) == CIO_EAI_NONAME && cio_await(tasks[2]) == 0
               ? 0
               : -EINVAL;
}

static const char *errors_of_slow_lookups(bool debug, double slow)
{
    static struct errors errors;
    cio_run_options options = {.loop = {.debug = debug, .slow_callback_duration = slow}};
    errors_catch(&errors);
    int rc = cio_run_with(&options, look_up_slowly, NULL);
    errors_end(&errors);
    assert_int_equal(rc, 0);
    return errors.text;
}

TEST(t75_slow_lookups_are_reported)
{
    resolver_say("a.test", "127.0.0.1");
    resolver_fail("none.test", EAI_NONAME, 0);
    const char *text = errors_of_slow_lookups(true, 0.02);
    assert_non_null(strstr(text, "cio: looking up 'a.test' took "));
    assert_non_null(strstr(text, "cio: looking up 'none.test' took "));
    assert_non_null(strstr(text, "cio: looking up '127.0.0.77' took "));
    assert_string_equal(errors_of_slow_lookups(true, 100), "");
    assert_string_equal(errors_of_slow_lookups(false, 0.02), "");
}
