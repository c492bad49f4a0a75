/* From a parser's events to buses, and on: each stage is a coroutine that is sent things. */
#include "buses.h"

#include <string.h>

cio_generator *primed(cio_generator_fn *fn, void *arg)
{
    cio_generator *g = cio_generator_new(fn, arg);
    cio_generator_next(g, NULL);
    return g;
}

const char *bus_field(const struct bus *bus, const char *name)
{
    for (int i = 0; i < bus->n; i++)
        if (strcmp(bus->fields[i].name, name) == 0)
            return bus->fields[i].value;
    return "";
}

static int next_event(cio_generator *g, struct event **event)
{
    void *sent;
    int rc = cio_generator_yield(g, NULL, &sent);
    *event = sent;
    return rc;
}

/* The characters of one element, up to its end. */
static int read_field(cio_generator *g, struct bus *bus, const char *name)
{
    struct event *event;
    size_t used = 0;
    int i = bus->n < FIELDS_MAX ? bus->n++ : FIELDS_MAX - 1;
    size_t room = sizeof bus->fields[i].value - 1;
    snprintf(bus->fields[i].name, sizeof bus->fields[i].name, "%s", name);
    int rc;
    while ((rc = next_event(g, &event)) >= 0 && event->kind != ELEMENT_ENDS) {
        size_t n = (size_t)event->size < room - used ? (size_t)event->size : room - used;
        if (event->kind == TEXT)
            memcpy(bus->fields[i].value + used, event->text, n);
        used += event->kind == TEXT ? n : 0;
    }
    bus->fields[i].value[used] = '\0';
    return rc;
}

/* Where an object would keep in which state it is, a coroutine just stands where it is. */
int buses_to_dicts(cio_generator *g, void *target)
{
    for (;;) {
        struct event *event;
        struct bus bus = {0};
        int rc = next_event(g, &event);
        if (rc >= 0 && (event->kind != ELEMENT_BEGINS || strcmp(event->text, "bus") != 0))
            continue;
        while (rc >= 0 && (rc = next_event(g, &event)) >= 0 && event->kind != ELEMENT_ENDS)
            if (event->kind == ELEMENT_BEGINS)
                rc = read_field(g, &bus, event->text);
        if (rc < 0)
            return rc;
        cio_generator_send(target, &bus, NULL);
    }
}

int filter_on_field(cio_generator *g, void *arg)
{
    const struct field_filter *filter = arg;
    void *bus;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &bus)) >= 0)
        if (strcmp(bus_field(bus, filter->name), filter->value) == 0)
            cio_generator_send(filter->target, bus, NULL);
    return rc;
}

int bus_locations(cio_generator *g, void *file)
{
    void *bus;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &bus)) >= 0)
        fprintf(file, "%s,%s,\"%s\",%s,%s\n", bus_field(bus, "route"), bus_field(bus, "id"),
                bus_field(bus, "direction"), bus_field(bus, "latitude"),
                bus_field(bus, "longitude"));
    return rc;
}
