/*
 * A coroutine that hides a thread, and one that hides a process. Who sends to them cannot tell the
 * difference: that is what coroutines have in common with either.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buses.h"

enum { QUEUE_MAX = 16 };

/* A bounded queue of buses, from the coroutine to its thread. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct bus buses[QUEUE_MAX];
    int first, n;
    bool closed;
    cio_generator *target;
};

static void put(struct queue *q, const struct bus *bus)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == QUEUE_MAX)
        pthread_cond_wait(&q->changed, &q->lock);
    q->buses[(q->first + q->n++) % QUEUE_MAX] = *bus;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static void close_queue(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static bool get(struct queue *q, struct bus *bus)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == 0 && !q->closed)
        pthread_cond_wait(&q->changed, &q->lock);
    bool got = q->n > 0;
    if (got) {
        *bus = q->buses[q->first];
        q->first = (q->first + 1) % QUEUE_MAX;
        q->n--;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return got;
}

/* From here on the target runs in this thread, and in no other until this one has ended. */
static void *run_target(void *arg)
{
    struct queue *q = arg;
    struct bus bus;
    while (get(q, &bus))
        cio_generator_send(q->target, &bus, NULL);
    return NULL;
}

int threaded(cio_generator *g, void *target)
{
    struct queue q = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .target = target};
    pthread_t thread;
    int rc = -pthread_create(&thread, NULL, run_target, &q);
    if (rc < 0)
        return rc;
    void *bus;
    while ((rc = cio_generator_yield(g, NULL, &bus)) >= 0)
        put(&q, bus);
    close_queue(&q);
    pthread_join(thread, NULL);
    return rc;
}

/* The child has a copy of the target, which stands where it stood. */
static _Noreturn void be_coprocess(int fd, cio_generator *target)
{
    FILE *in = fdopen(fd, "r");
    struct bus bus;
    while (in && fread(&bus, sizeof bus, 1, in) == 1)
        cio_generator_send(target, &bus, NULL);
    fflush(NULL);
    _exit(in ? 0 : 1);
}

int coprocess(cio_generator *g, void *target)
{
    int fds[2];
    fflush(NULL); /* or the child would write it once more */
    if (pipe(fds) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        close(fds[1]);
        be_coprocess(fds[0], target);
    }
    close(fds[0]);
    FILE *out = child < 0 ? NULL : fdopen(fds[1], "w");
    void *bus;
    int rc = out ? 0 : -errno;
    while (rc >= 0 && (rc = cio_generator_yield(g, NULL, &bus)) >= 0)
        fwrite(bus, sizeof(struct bus), 1, out);
    if (out)
        fclose(out); /* the child reads the end */
    if (child > 0)
        waitpid(child, NULL, 0);
    return rc;
}
