/* Generators, plain and asynchronous: here they are the same. scenario_generators.py is the twin. */
#include <stdio.h>
#include <stdlib.h>

#include "trace.h"

/* How a call ended: a value, the end, or an error. The string lasts for a few more calls. */
static const char *word(int rc, const void *value)
{
    static char text[32];
    if (rc == CIO_ESHUTDOWN)
        return "closed";
    if (rc == CIO_EREENTERED)
        return "already running";
    if (rc == CIO_ESTATE)
        return "ignored its close";
    if (rc < 0)
        return how(rc);
    if (rc > 0)
        return how((int)(intptr_t)value);
    if (!value)
        return "end";
    snprintf(text, sizeof text, "end with %d", (int)(intptr_t)value);
    return text;
}

static int tell_next(cio_generator *g, const char *name)
{
    void *value;
    int rc = cio_generator_next(g, &value);
    say("%s: %s", name, word(rc, value));
    return rc;
}

static int tell_send(cio_generator *g, const char *name, intptr_t sent)
{
    void *value;
    int rc = cio_generator_send(g, (void *)sent, &value);
    say("%s: %s", name, word(rc, value));
    return rc;
}

static int tell_throw(cio_generator *g, const char *name)
{
    void *value;
    int rc = cio_generator_throw(g, -5, &value);
    say("%s: %s", name, word(rc, value));
    return rc;
}

static int tell_close(cio_generator *g, const char *name)
{
    int rc = cio_generator_close(g);
    say("%s: %s", name, rc < 0 ? word(rc, NULL) : "0");
    return rc;
}

typedef struct series {
    const char *name;
    int n;
    int turns;
    int cleanup;
    bool ignores;
} series;

/* Waits before each of its n values; says how waits and yields end. */
static int give_values(cio_generator *g, const series *s)
{
    for (intptr_t i = 1; i <= s->n; i++) {
        void *sent;
        int rc = wait_turns(s->turns);
        if (rc == 0)
            rc = cio_generator_yield(g, (void *)i, &sent);
        if (rc < 0)
            return rc;
        say("%s was sent %s", s->name, how((int)(intptr_t)sent));
    }
    return 0;
}

static int values(cio_generator *g, void *arg)
{
    const series *s = arg;
    say("%s begins", s->name);
    int rc = give_values(g, s);
    if (rc == 0) {
        say("%s ends", s->name);
        return 0;
    }
    say("%s: %s", s->name, word(rc, NULL));
    int cleaned = wait_turns(s->cleanup);
    if (cleaned < 0)
        return cleaned;
    say("%s has cleaned up", s->name);
    if (s->ignores)
        return cio_generator_yield(g, (void *)99, NULL);
    return rc;
}

/* Its argument is a series' fields. It lives as long as the caller's block. */
#define VALUES(...) cio_generator_new(values, &(series){__VA_ARGS__})

typedef struct consumer {
    const char *name;
    cio_generator *g;
} consumer;

static int consume(void *arg)
{
    const consumer *c = arg;
    void *value;
    int rc;
    while ((rc = cio_generator_next(c->g, &value)) > 0)
        say("%s has %d", c->name, (int)(intptr_t)value);
    return rc;
}

static int consume_and_free(cio_generator *g)
{
    int rc = consume(&(consumer){"main", g});
    cio_generator_free(g);
    return rc;
}

SCENARIO(generator_async_for)
{
    return consume_and_free(VALUES("g", 3, 2));
}

SCENARIO(generator_that_never_waits)
{
    return consume_and_free(VALUES("g", 3));
}

SCENARIO(generator_asend)
{
    cio_generator *g = VALUES("g", 3, 1);
    tell_next(g, "next");
    tell_send(g, "send", 7);
    tell_next(g, "next");
    tell_send(g, "send", 8);
    tell_next(g, "again");
    tell_send(g, "and again", 9);
    return cio_generator_free(g);
}

SCENARIO(generator_athrow)
{
    cio_generator *g = VALUES("g", 3, 1, 2);
    tell_next(g, "next");
    tell_throw(g, "throw");
    tell_next(g, "next");
    return cio_generator_free(g);
}

static int catch (cio_generator *g, void *arg)
{
    (void)arg;
    int rc = cio_generator_yield(g, (void *)1, NULL);
    if (rc != -5)
        return rc;
    rc = wait_turns(1);
    return rc < 0 ? rc : cio_generator_yield(g, (void *)2, NULL);
}

SCENARIO(generator_athrow_caught)
{
    cio_generator *g = cio_generator_new(catch, NULL);
    tell_next(g, "next");
    tell_throw(g, "throw");
    tell_next(g, "next");
    return cio_generator_free(g);
}

SCENARIO(generator_athrow_before_its_start)
{
    cio_generator *g = VALUES("g", 3);
    tell_throw(g, "throw");
    tell_next(g, "next");
    return cio_generator_free(g);
}

SCENARIO(generator_aclose)
{
    cio_generator *g = VALUES("g", 3, 1, 3);
    tell_next(g, "next");
    tell_close(g, "close");
    tell_close(g, "close");
    tell_next(g, "next");
    return cio_generator_free(g);
}

SCENARIO(generator_aclose_before_its_start)
{
    cio_generator *g = VALUES("g", 3);
    tell_close(g, "close");
    tell_next(g, "next");
    return cio_generator_free(g);
}

SCENARIO(generator_ignores_its_close)
{
    cio_generator *g = VALUES("g", 3, 0, 1, true);
    tell_next(g, "next");
    tell_close(g, "close");
    return cio_generator_free(g); /* the second close finds it willing */
}

SCENARIO(generator_two_at_once)
{
    cio_generator *g = VALUES("g", 2, 3);
    cio_task *first = cio_create_task(consume, &(consumer){"first", g});
    wait_turns(1);
    tell_next(g, "next");
    tell_throw(g, "throw");
    tell_close(g, "close");
    say("first: %s", how(cio_await(first)));
    return cio_generator_free(g);
}

typedef struct taker {
    const char *name;
    cio_generator *g;
    int n;
    int turns;
} taker;

static int take(void *arg)
{
    const taker *t = arg;
    wait_turns(t->turns);
    for (int i = 0; i < t->n; i++) {
        void *value;
        cio_generator_next(t->g, &value);
        say("%s has %d", t->name, (int)(intptr_t)value);
        wait_turns(4);
    }
    return 0;
}

SCENARIO(generator_two_consumers)
{
    cio_generator *g = VALUES("g", 6, 1);
    cio_task *a = cio_create_task(take, &(taker){"a", g, 3, 0});
    cio_task *b = cio_create_task(take, &(taker){"b", g, 3, 2});
    say("a: %s", how(cio_await(a)));
    say("b: %s", how(cio_await(b)));
    tell_next(g, "next");
    return cio_generator_free(g);
}

SCENARIO(generator_consumer_canceled)
{
    cio_generator *g = VALUES("g", 3, FOREVER, 2);
    cio_task *task = cio_create_task(consume, &(consumer){"task", g});
    wait_turns(2);
    cio_cancel(task);
    say("task: %s", how(cio_await(task)));
    tell_next(g, "next");
    return cio_generator_free(g);
}

/* As the twin's, it tells of the cancellation and swallows it. */
static int close_it(void *g)
{
    int rc = tell_close(g, "close");
    return rc == CIO_ECANCELED ? 0 : rc;
}

SCENARIO(generator_consumer_canceled_in_the_cleanup)
{
    cio_generator *g = VALUES("g", 3, 0, FOREVER);
    tell_next(g, "next");
    cio_task *task = cio_create_task(close_it, g);
    wait_turns(2);
    cio_cancel(task);
    say("task: %s", cio_await(task) == 0 ? "canceled" : "failed");
    return cio_generator_free(g);
}

static int outer(cio_generator *g, void *inner)
{
    void *value;
    int rc;
    while ((rc = cio_generator_next(inner, &value)) > 0) {
        say("outer passes %d on", (int)(intptr_t)value);
        rc = cio_generator_yield(g, (void *)((intptr_t)value * 10), NULL);
        if (rc < 0)
            break;
    }
    return rc;
}

SCENARIO(generator_nested)
{
    cio_generator *inner = VALUES("inner", 2, 1);
    int rc = consume_and_free(cio_generator_new(outer, inner));
    cio_generator_free(inner);
    return rc;
}

SCENARIO(generator_left_at_the_end)
{
    static series left = {"left", 3, 0, 2};
    return tell_next(cio_generator_new(values, &left), "next") < 0;
}

static int plain(cio_generator *g, void *arg)
{
    const series *s = arg;
    say("%s begins", s->name);
    int rc = give_values(g, s);
    if (rc < 0) {
        say("%s: %s", s->name, word(rc, NULL));
        return rc;
    }
    say("%s ends", s->name);
    return cio_generator_return(g, 0, (void *)((intptr_t)s->n * 100));
}

static int plain_outer(cio_generator *g, void *inner)
{
    void *result;
    say("outer begins");
    int rc = cio_generator_delegate(g, inner, &result);
    if (rc < 0) {
        say("outer: %s", word(rc, NULL));
        return rc;
    }
    say("outer has %d", (int)(intptr_t)result);
    rc = cio_generator_yield(g, (void *)50, NULL);
    return cio_generator_return(g, rc, result);
}

SCENARIO(generator_plain)
{
    cio_generator *g = cio_generator_new(plain, &(series){"g", 2});
    tell_next(g, "next");
    tell_send(g, "send", 7);
    tell_next(g, "next");
    tell_next(g, "next");
    tell_close(g, "close");
    return cio_generator_free(g);
}

SCENARIO(generator_delegates)
{
    cio_generator *inner = cio_generator_new(plain, &(series){"inner", 2});
    cio_generator *g = cio_generator_new(plain_outer, inner);
    tell_next(g, "next");
    tell_send(g, "send", 7);
    tell_send(g, "send", 8);
    tell_next(g, "next");
    tell_next(g, "next");
    cio_generator_free(inner);
    return cio_generator_free(g);
}

SCENARIO(generator_delegates_errors)
{
    cio_generator *inner = cio_generator_new(plain, &(series){"inner", 2});
    cio_generator *g = cio_generator_new(plain_outer, inner);
    tell_next(g, "next");
    tell_throw(g, "throw");
    tell_next(g, "next");
    cio_generator_free(inner);
    return cio_generator_free(g);
}

SCENARIO(generator_delegates_its_close)
{
    cio_generator *inner = cio_generator_new(plain, &(series){"inner", 2});
    cio_generator *g = cio_generator_new(plain_outer, inner);
    tell_next(g, "next");
    tell_close(g, "close");
    tell_next(g, "next");
    cio_generator_free(inner);
    return cio_generator_free(g);
}
