/* What the bus programs share: parser's events, buses, and the coroutines between them. */
#ifndef COURSE_BUSES_H
#define COURSE_BUSES_H

#include <stdio.h>

#include <cio.h>

/* What an XML parser says, one after the other. */
struct event {
    enum { ELEMENT_BEGINS, TEXT, ELEMENT_ENDS } kind;
    const char *text; /* the element's name, or characters */
    int size;
};

enum { FIELDS_MAX = 16 };

/* A bus as it was said: names and values. Plain data, so that it can be copied and sent. */
struct bus {
    int n;
    struct {
        char name[24];
        char value[56];
    } fields[FIELDS_MAX];
};

const char *bus_field(const struct bus *bus, const char *name); /* "" if it has none */

/* Everything below is a coroutine that is sent things; these make one that stands ready. */
cio_generator *primed(cio_generator_fn *fn, void *arg);

/* Makes buses of events and sends them on. arg: the target, a cio_generator. */
int buses_to_dicts(cio_generator *g, void *target);

struct field_filter {
    const char *name;
    const char *value;
    cio_generator *target;
};

/* Sends on the buses that have this value there. arg: a field_filter. */
int filter_on_field(cio_generator *g, void *filter);

/* Prints route, id, direction and place of each bus. arg: a FILE. */
int bus_locations(cio_generator *g, void *file);

/* Sends buses on to a target that runs in a thread of its own; closing it ends the thread. */
int threaded(cio_generator *g, void *target);

/* The same in a process of its own, at the other end of a pipe. */
int coprocess(cio_generator *g, void *target);

#endif
