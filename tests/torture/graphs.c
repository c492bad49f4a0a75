/*
 * Random graphs of tasks that wait for each other in every way, cancel each other, obey or not,
 * against a small model of the rules. Each graph comes from a seed; one that fails prints it, and
 * CIO_SEED=seed replays that graph alone.
 */
#include <stdlib.h>
#include <time.h>

#include "graph.h"
#include "graph_check.h"
#include "graph_run.h"
#include "memory.h"

/* Queued first, so first in each turn. */
static cio_handle ticker;

static void tick(void *arg)
{
    (void)arg;
    turn++;
    cio_call_soon(cio_get_running_loop(), &ticker, tick, NULL);
}

/* How many are not done yet; those that were never started do not count. */
static int count_running(void)
{
    int n = 0;
    for (int i = 0; i < graph.n_nodes; i++)
        n += graph.nodes[i].task && !cio_done(graph.nodes[i].task);
    return n;
}

static void cancel_some(int percent)
{
    for (int i = 0; i < graph.n_nodes; i++) {
        struct node *n = &graph.nodes[i];
        if (n->task && random_below(100) < percent)
            cio_cancel(n->task);
    }
}

enum { QUIET_AFTER = 200, PATIENCE_SECONDS = 15 };

/* Waits for all; in a wild graph it cancels a few on the way, and in the end what still runs. */
static void wait_for_all(void)
{
    double start = cio_time(NULL);
    while (count_running() > 0) {
        CHECK(cio_yield() == 0);
        if (graph.is_wild && random_below(100) < 10)
            cancel_some(3);
        if (graph.is_wild && turn > QUIET_AFTER && turn % 16 == 0)
            cancel_some(100);
        CHECK(cio_time(NULL) - start < PATIENCE_SECONDS);
    }
}

static int run_graph(void *arg)
{
    (void)arg;
    turn = 0;
    cio_call_soon(cio_get_running_loop(), &ticker, tick, NULL);
    cio_yield();
    CHECK(cio_detach(start_node(0, NULL)) == 0);
    wait_for_all();
    CHECK(cio_all_tasks(NULL, NULL) == 1);
    check_graph();
    for (int i = 0; i < graph.n_nodes; i++) {
        if (graph.nodes[i].task)
            cio_detach(graph.nodes[i].task);
    }
    cio_handle_cancel(&ticker);
    return 0;
}

static void report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    fprintf(stderr, "reported: %s (%s)\n", context->message, context->name ? context->name : "?");
    CHECK(context == NULL); /* nothing is to be reported */
}

static void run_seed(uint64_t seed, bool is_wild)
{
    cio_run_options options = {.exception_handler = report};
    generate_graph(seed, is_wild);
    CHECK(cio_run_with(&options, run_graph, NULL) == 0);
    CHECK(memory.blocks == 0 && memory.pages == 0);
}

static void run_seeds(int n, bool is_wild)
{
    const char *given = getenv("CIO_SEED");
    struct timespec now;

    memory_begin();
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t first = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (given) {
        first = strtoull(given, NULL, 0);
        n = 1;
    }
    printf("%d graphs from CIO_SEED=%" PRIu64 "\n", n, first);
    for (int i = 0; i < n; i++)
        run_seed(first + (uint64_t)i, is_wild);
    memory_end();
}

/* Nothing is canceled: every turn in which a task goes on is known. */
TEST_SLOW(calm_graphs)
{
    run_seeds(test_scale(10000), false);
}

TEST_SLOW(wild_graphs)
{
    run_seeds(test_scale(20000), true);
}
