/*
 * bogus: what not to do. A generator that is iterated over and sent into at once: send() also takes
 * the next value, so whoever forgets to look at what it returns loses one.
 */
#include <stdio.h>

#include <cio.h>

static int countdown(cio_generator *g, void *arg)
{
    intptr_t n = (intptr_t)arg;
    printf("Counting down from %d\n", (int)n);
    while (n >= 0) {
        void *restart;
        int rc = cio_generator_yield(g, (void *)n, &restart);
        if (rc < 0)
            return rc;
        n = restart ? (intptr_t)restart : n - 1;
    }
    return 0;
}

int main(void)
{
    cio_generator *g = cio_generator_new(countdown, (void *)5);
    void *n;
    while (cio_generator_next(g, &n) > 0) {
        printf("%d\n", (int)(intptr_t)n);
        if ((intptr_t)n == 5 && cio_generator_send(g, (void *)3, &n) > 0)
            printf("%d\n", (int)(intptr_t)n); /* lost, but for this line */
    }
    cio_generator_free(g);
    return 0;
}
