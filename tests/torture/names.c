/*
 * Lookups and connections by name in two loops at once, with time limits that they may not keep and
 * cancellations from all sides: nothing is left, and what was found is right. Every run prints its
 * seed if it fails.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <unistd.h>

#include <inttypes.h>

#include "blackhole.h"
#include "resolver.h"

static uint64_t seed; /* CIO_SEED=seed replays it alone, as far as threads can be replayed */

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #what);                                 \
            print_error("replay with CIO_SEED=%" PRIu64 "\n", seed);                               \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

enum { LOOPS = 2, TASKS = 24, CALLS = 8 };

static int listener;

/* A loop's: its numbers are its own. */
struct world {
    uint64_t random;
    cio_task *tasks[TASKS];
    int begun;
};

static int below(struct world *w, int n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (int)((w->random >> 33) % (uint64_t)n);
}

static int find_two(void *arg)
{
    struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
    (void)arg;
    int rc = cio_getaddrinfo("two.test", "7", &hints, &all);
    if (rc < 0)
        return rc;
    int n = 0;
    for (const struct addrinfo *a = all; a; a = a->ai_next)
        n++;
    CHECK(n == 2);
    cio_freeaddrinfo(all);
    return 0;
}

static int find_none(void *arg)
{
    struct addrinfo *all;
    (void)arg;
    int rc = cio_getaddrinfo("none.test", "7", NULL, &all);
    CHECK(rc < 0 && !all);
    return rc == CIO_EAI_NONAME ? 0 : rc;
}

static int find_number(void *arg)
{
    struct addrinfo *all;
    (void)arg;
    CHECK(cio_getaddrinfo("10.0.0.1", "7", NULL, &all) == 0);
    cio_freeaddrinfo(all);
    return 0;
}

static int find_name(void *arg)
{
    char host[NI_MAXHOST];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f00004d)};
    (void)arg;
    int rc = cio_getnameinfo((struct sockaddr *)&in, sizeof in, host, sizeof host, NULL, 0, 0);
    CHECK(rc < 0 || strcmp(host, "seventy-seven.test") == 0);
    return rc;
}

static int dial(void *arg)
{
    cio_stream *s;
    cio_connect_attempt attempts[4];
    cio_connect_report report = {.attempts = attempts, .room = 4};
    cio_connect_options options = {.report = &report, .happy_eyeballs_delay = 0.0002};
    (void)arg;
    int rc = cio_open_connection(&s, "dial.test", places.service, &options);
    CHECK((rc == 0) == (s != NULL));
    CHECK(rc == 0 || rc == CIO_ECANCELED);
    size_t won = 0;
    for (size_t i = 0; i < report.n; i++)
        won += attempts[i].rc == 0;
    CHECK(rc < 0 || won == 1);
    if (rc == 0)
        cio_abort(s);
    return rc;
}

static int call_all(void *arg)
{
    static cio_coroutine *const calls[] = {find_two, find_none, find_number, find_name, dial};
    struct world *w = arg;
    int self = w->begun++;
    for (int i = 0; i < CALLS; i++) {
        cio_coroutine *call = calls[below(w, 5)];
        int rc = below(w, 2) ? call(NULL) : cio_wait_for(call, NULL, below(w, 20) * 0.0001);
        CHECK(rc == 0 || rc == CIO_ETIMEDOUT || rc == CIO_ECANCELED);
        int other = below(w, TASKS);
        if (below(w, 4) == 0 && other != self)
            cio_cancel(w->tasks[other]);
        if (below(w, 3) == 0)
            cio_yield();
    }
    return 0;
}

static int run_tasks(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < TASKS; i++)
        w->tasks[i] = cio_create_task(call_all, w);
    if (below(w, 3) > 0) { /* else the end of the run cancels them */
        cio_wait(w->tasks, TASKS, CIO_ALL_COMPLETED, CIO_FOREVER);
    }
    for (int i = 0; i < TASKS; i++)
        cio_detach(w->tasks[i]);
    return 0;
}

static void *run_loop(void *arg)
{
    CHECK(cio_run(run_tasks, arg) == 0);
    return NULL;
}

static void *accept_all(void *arg)
{
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0 || errno == ECONNABORTED;)
        if (fd >= 0)
            close(fd);
    return arg;
}

static void run_world(void)
{
    pthread_t threads[LOOPS];
    struct world worlds[LOOPS] = {{0}};
    resolver_nap(seed % 2 ? 500 : 0);
    for (int i = 0; i < LOOPS; i++) {
        worlds[i].random = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15u;
        CHECK(pthread_create(&threads[i], NULL, run_loop, &worlds[i]) == 0);
    }
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    while (resolver_count(&resolver.lists) > 0 || resolver_count(&resolver.running) > 0)
        usleep(100);
}

TEST_SLOW(threads_names_at_random)
{
    pthread_t acceptor;
    resolver_say("two.test", "::1 127.0.0.1");
    resolver_say("dial.test", "127.0.0.1 127.0.0.2");
    resolver_fail("none.test", EAI_NONAME, 0);
    place_refuse("127.0.0.1");
    listener = place_listen("127.0.0.2");
    CHECK(pthread_create(&acceptor, NULL, accept_all, NULL) == 0);
    const char *given = getenv("CIO_SEED");
    uint64_t first = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000;
    int n = given ? 1 : test_scale(400);
    printf("%d seeds from CIO_SEED=%" PRIu64 "\n", n, first);
    for (seed = first; seed < first + (uint64_t)n; seed++)
        run_world();
    shutdown(listener, SHUT_RDWR);
    pthread_join(acceptor, NULL);
    places_close();
}
