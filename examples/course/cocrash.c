/*
 * cocrash: two threads send into one coroutine. It can stand in one place only: whoever comes while
 * it runs is told so (CIO_EREENTERED), and nothing has happened. What is sent by one at a time
 * arrives. For the same reason a coroutine cannot send to itself, not even in a circle of others.
 */
#include <pthread.h>
#include <stdio.h>

#include <cio.h>

enum { THREADS = 2, ITEMS = 100000 };

struct sink {
    cio_generator *g;
    long items;
};

static int count(cio_generator *g, void *arg)
{
    struct sink *sink = arg;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, NULL)) >= 0) {
        sink->items++;
        if (cio_generator_send(sink->g, NULL, NULL) != CIO_EREENTERED) /* to itself */
            return CIO_ESTATE;
    }
    return rc;
}

struct sender {
    struct sink *sink;
    long taken, refused;
};

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < ITEMS; i++) {
        int rc = cio_generator_send(sender->sink->g, NULL, NULL);
        sender->taken += rc == 1;
        sender->refused += rc == CIO_EREENTERED;
    }
    return NULL;
}

int main(void)
{
    struct sink sink = {0};
    struct sender senders[THREADS] = {{&sink, 0, 0}, {&sink, 0, 0}};
    pthread_t threads[THREADS];
    sink.g = cio_generator_new(count, &sink);
    cio_generator_next(sink.g, NULL);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, send_all, &senders[i]) != 0)
            return 1;
    long taken = 0, refused = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        taken += senders[i].taken;
        refused += senders[i].refused;
    }
    cio_generator_free(sink.g);
    printf("sent %d, arrived %ld, refused %ld: %s\n", THREADS * ITEMS, sink.items, refused,
           cio_strerror(CIO_EREENTERED));
    bool good = taken == sink.items && taken + refused == (long)THREADS * ITEMS;
    puts(good ? "nothing was lost" : "something was lost");
    return !good;
}
