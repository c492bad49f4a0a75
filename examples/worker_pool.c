/*
 * worker_pool: producers make jobs, consumers do them, and a bounded queue stands between, so that
 * nobody runs ahead of the others. When all jobs are made, and the last of them is done, the
 * consumers are sent home.
 *
 *     worker_pool -p 2 -c 5
 *
 * The same seed makes the same jobs.
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <cio.h>

struct job {
    int producer, number;
    double made; /* when, on the loop's clock */
};

static struct job room[4]; /* more than that do not wait at a time */
static cio_queue jobs = CIO_QUEUE_INIT(room);
static unsigned random_state;

struct worker {
    int name;
    int n_jobs; /* how many it has made, or done */
};

struct pool {
    struct worker *producers, *consumers;
    int n_producers, n_consumers;
};

static int random_below(int n)
{
    random_state = random_state * 1103515245u + 12345u;
    return (int)(random_state >> 16 & 0x7fff) % n;
}

/* A few milliseconds at most. */
static int work_a_moment(void)
{
    return cio_sleep((double)random_below(10) / 1000);
}

static int produce(void *arg)
{
    struct worker *me = arg;
    int n = 1 + random_below(10), rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = work_a_moment();
        struct job job = {me->name, i, cio_time(cio_get_running_loop())};
        if (rc == 0)
            rc = cio_queue_put(&jobs, &job); /* waits while the queue is full */
        if (rc == 0) {
            me->n_jobs++;
            printf("producer %d: job %d.%d\n", me->name, job.producer, job.number);
        }
    }
    return rc;
}

/* Ends when it is canceled. */
static int consume(void *arg)
{
    struct worker *me = arg;
    struct job job;
    int rc;
    while ((rc = cio_queue_get(&jobs, &job)) == 0) {
        double waited = cio_time(cio_get_running_loop()) - job.made;
        rc = work_a_moment();
        if (rc < 0)
            return rc;
        me->n_jobs++;
        printf("consumer %d: job %d.%d, which waited for %.6f s\n", me->name, job.producer,
               job.number, waited);
        cio_queue_task_done(&jobs);
    }
    return rc;
}

/* The body of the consumers' group: all jobs are made, then all are done. */
static int supervise(struct pool *pool)
{
    cio_group producers;
    int rc = cio_group_enter(&producers);
    if (rc < 0)
        return rc;
    for (int i = 0; i < pool->n_producers; i++)
        cio_group_start(&producers, produce, &pool->producers[i]);
    rc = cio_group_exit(&producers, 0);
    return rc < 0 ? rc : cio_queue_join(&jobs);
}

static int run_pool(void *arg)
{
    struct pool *pool = arg;
    cio_group consumers;
    int rc = cio_group_enter(&consumers);
    if (rc < 0)
        return rc;
    for (int i = 0; i < pool->n_consumers; i++)
        cio_group_start(&consumers, consume, &pool->consumers[i]);
    rc = supervise(pool);
    if (rc == 0)
        cio_group_cancel(&consumers);
    return cio_group_exit(&consumers, rc);
}

static int report(const char *what, const struct worker *workers, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += workers[i].n_jobs;
    printf("%s %d by %d\n", what, sum, n);
    return sum;
}

static const char usage_text[] =
    "usage: worker_pool [options]\n"
    "Producers make jobs, consumers do them, by way of a bounded queue.\n"
    "\n"
    "  -p N, --producers N   so many producers (2)\n"
    "  -c N, --consumers N   so many consumers (5)\n"
    "  -s N, --seed N        the same jobs as another run with this seed\n"
    "  --help                this text\n";

static int parse_number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > 10000) {
        fprintf(stderr, "worker_pool: not a number from 1 to 10000: %s\n", text);
        exit(2);
    }
    return (int)n;
}

static void parse_options(struct pool *pool, int argc, char **argv)
{
    static const struct option options[] = {
        {"producers", required_argument, NULL, 'p'},
        {"consumers", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "p:c:s:", options, NULL)) != -1;) {
        switch (c) {
        case 'p': pool->n_producers = parse_number(optarg); break;
        case 'c': pool->n_consumers = parse_number(optarg); break;
        case 's': random_state = (unsigned)parse_number(optarg); break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("worker_pool: --help lists the options\n", stderr); exit(2);
        }
    }
    if (optind != argc) {
        fputs(usage_text, stderr);
        exit(2);
    }
}

static struct worker *make_workers(int n)
{
    struct worker *workers = calloc((size_t)n, sizeof *workers);
    for (int i = 0; workers && i < n; i++)
        workers[i].name = i;
    return workers;
}

int main(int argc, char **argv)
{
    struct pool pool = {.n_producers = 2, .n_consumers = 5};
    if (getrandom(&random_state, sizeof random_state, 0) < 0)
        random_state = 1;
    parse_options(&pool, argc, argv);
    pool.producers = make_workers(pool.n_producers);
    pool.consumers = make_workers(pool.n_consumers);
    int rc = pool.producers && pool.consumers ? cio_run(run_pool, &pool) : -ENOMEM;
    if (rc == 0) {
        int made = report("made", pool.producers, pool.n_producers);
        rc = report("done", pool.consumers, pool.n_consumers) - made;
    } else {
        fprintf(stderr, "worker_pool: %s\n", cio_strerror(rc));
    }
    free(pool.producers);
    free(pool.consumers);
    return rc == -EINTR ? 130 : rc != 0;
}
