/*
 * ownloop: coroutines need no particular loop. The countdowns below yield the time at which they
 * want to go on, and no more. One loop to drive them is forty lines of this file; another is cio's.
 *
 *     ownloop own|cio [SECONDS]     (how long a second is)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cio.h>

static double second = 1;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Any loop will do that resumes g when the time that it yields has come. */
static int sleep_in(cio_generator *g, double seconds)
{
    double wake = now() + seconds * second;
    return cio_generator_yield(g, &wake, NULL);
}

struct rocket {
    const char *label;
    int from;
    int delay;
};

static int countdown(cio_generator *g, void *arg)
{
    const struct rocket *rocket = arg;
    printf("%s waits %d seconds\n", rocket->label, rocket->delay);
    int rc = sleep_in(g, rocket->delay);
    for (int n = rocket->from; n > 0 && rc >= 0; n--) {
        printf("%s T-minus %d\n", rocket->label, n);
        rc = sleep_in(g, 1);
    }
    if (rc >= 0)
        printf("%s lift-off!\n", rocket->label);
    return rc;
}

/* ---- a loop of our own ---- */

struct waiter {
    cio_generator *g;
    double wake;
};

/* The one that is to wake first: of equals, the one that has waited longest. */
static int first_of(const struct waiter *waiters, int n)
{
    int first = 0;
    for (int i = 1; i < n; i++)
        if (waiters[i].wake < waiters[first].wake)
            first = i;
    return first;
}

static void sleep_until(double wake)
{
    double left = wake - now();
    if (left <= 0)
        return;
    struct timespec t = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&t, NULL);
}

static void run_own(struct waiter *waiters, int n)
{
    while (n > 0) {
        int i = first_of(waiters, n);
        struct waiter next = waiters[i];
        void *wake;
        memmove(&waiters[i], &waiters[i + 1], (size_t)(--n - i) * sizeof *waiters);
        sleep_until(next.wake);
        if (cio_generator_next(next.g, &wake) > 0)
            waiters[n++] = (struct waiter){next.g, *(double *)wake};
    }
}

/* ---- and cio's ---- */

static int drive(void *g)
{
    void *wake;
    int rc;
    while ((rc = cio_generator_next(g, &wake)) > 0)
        if ((rc = cio_sleep(*(double *)wake - now())) < 0)
            break;
    return rc;
}

static int run_cio(void *arg)
{
    const struct waiter *waiters = arg;
    cio_group group;
    int rc = cio_group_enter(&group);
    for (int i = 0; i < 3 && rc >= 0; i++)
        cio_group_start(&group, drive, waiters[i].g);
    return cio_group_exit(&group, rc);
}

int main(int argc, char **argv)
{
    struct rocket rockets[] = {{"A", 5, 0}, {"B", 3, 2}, {"C", 4, 1}};
    struct waiter waiters[3];
    cio_generator *all[3];
    if (argc < 2 || (strcmp(argv[1], "own") != 0 && strcmp(argv[1], "cio") != 0)) {
        fprintf(stderr, "usage: ownloop own|cio [SECONDS]\n");
        return 2;
    }
    if (argc > 2)
        second = strtod(argv[2], NULL);
    for (int i = 0; i < 3; i++) {
        all[i] = cio_generator_new(countdown, &rockets[i]);
        waiters[i] = (struct waiter){all[i], 0};
    }
    double began = now();
    int rc = 0;
    if (strcmp(argv[1], "own") == 0)
        run_own(waiters, 3);
    else
        rc = cio_run(run_cio, waiters);
    printf("after %.0f seconds\n", (now() - began) / second);
    for (int i = 0; i < 3; i++)
        cio_generator_free(all[i]);
    return rc < 0;
}
