/*
 * ranges: why generators. eager_range() makes all its numbers at once; lazy_range() one when it is
 * asked; jumping_range() is told where to go on. Then a value goes down through three generators
 * that delegate, and comes up again as what they return.
 */
#include <stdio.h>
#include <stdlib.h>

#include <cio.h>

static intptr_t *eager_range(intptr_t n)
{
    intptr_t *all = malloc((size_t)n * sizeof *all);
    for (intptr_t i = 0; all && i < n; i++)
        all[i] = i;
    return all;
}

static int lazy_range(cio_generator *g, void *n)
{
    int rc = 0;
    for (intptr_t i = 0; i < (intptr_t)n && rc >= 0; i++)
        rc = cio_generator_yield(g, (void *)i, NULL);
    return rc;
}

static int jumping_range(cio_generator *g, void *up_to)
{
    int rc = 0;
    for (intptr_t i = 0; i < (intptr_t)up_to && rc >= 0;) {
        void *jump;
        rc = cio_generator_yield(g, (void *)i, &jump);
        i += jump ? (intptr_t)jump : 1;
    }
    return rc;
}

static void print(void *value)
{
    printf("%d\n", (int)(intptr_t)value);
}

static void jump_about(void)
{
    cio_generator *g = cio_generator_new(jumping_range, (void *)5);
    void *value;
    cio_generator_next(g, &value);
    print(value);
    cio_generator_send(g, (void *)2, &value);
    print(value);
    cio_generator_next(g, &value);
    print(value);
    cio_generator_send(g, (void *)-1, &value);
    print(value);
    while (cio_generator_next(g, &value) > 0)
        print(value);
    cio_generator_free(g);
}

static int bottom(cio_generator *g, void *arg)
{
    void *sent;
    (void)arg;
    int rc = cio_generator_yield(g, (void *)42, &sent);
    return cio_generator_return(g, rc, sent);
}

static int delegate_to(cio_generator *g, cio_generator_fn *fn)
{
    void *result;
    cio_generator *inner = cio_generator_new(fn, NULL);
    int rc = cio_generator_delegate(g, inner, &result);
    cio_generator_free(inner);
    return cio_generator_return(g, rc, result);
}

static int middle(cio_generator *g, void *arg)
{
    (void)arg;
    return delegate_to(g, bottom);
}

static int top(cio_generator *g, void *arg)
{
    (void)arg;
    return delegate_to(g, middle);
}

static void there_and_back(void)
{
    cio_generator *g = cio_generator_new(top, NULL);
    void *value;
    cio_generator_next(g, &value);
    print(value);
    cio_generator_send(g, (void *)((intptr_t)value * 2), &value); /* ends it, with a value */
    print(value);
    cio_generator_free(g);
}

int main(void)
{
    enum { N = 1000 };
    intptr_t *all = eager_range(N), eager_sum = 0, lazy_sum = 0;
    for (int i = 0; all && i < N; i++)
        eager_sum += all[i];
    free(all);
    cio_generator *g = cio_generator_new(lazy_range, (void *)N);
    void *value;
    while (cio_generator_next(g, &value) > 0)
        lazy_sum += (intptr_t)value;
    cio_generator_free(g);
    printf("eager %ld, lazy %ld\n", (long)eager_sum, (long)lazy_sum);
    jump_about();
    there_and_back();
    return 0;
}
