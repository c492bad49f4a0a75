/*
 * buses: where the north bound buses of route 22 are. An XML parser, libexpat, calls back for each
 * piece of the file; coroutines make buses of that, and let those pass that are wanted.
 *
 *     buses FILE [push|thread|process|pull|events]
 *
 *   push     parser -> buses_to_dicts -> route 22 -> North Bound -> print, all by sends
 *   thread   the same, and from the filters on in a thread of its own
 *   process  the same in a process of its own
 *   pull     the other way round: a generator has the parser in its body, and its callbacks yield,
 *            from deep within the library; the consumer is a loop over buses
 *   events   prints what the parser says
 */
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buses.h"

/* ---- a parser that sends what it finds into a coroutine ---- */

static void XMLCALL begins(void *target, const char *name, const char **attributes)
{
    (void)attributes;
    cio_generator_send(target, &(struct event){ELEMENT_BEGINS, name, 0}, NULL);
}

static void XMLCALL ends(void *target, const char *name)
{
    cio_generator_send(target, &(struct event){ELEMENT_ENDS, name, 0}, NULL);
}

static void XMLCALL text(void *target, const char *characters, int n)
{
    cio_generator_send(target, &(struct event){TEXT, characters, n}, NULL);
}

static int parse(FILE *file, XML_Parser parser)
{
    enum { PIECE = 65536 };
    for (bool last = false; !last;) {
        void *room = XML_GetBuffer(parser, PIECE);
        size_t n = room ? fread(room, 1, PIECE, file) : 0;
        last = n < PIECE;
        if (XML_ParseBuffer(parser, (int)n, last) != XML_STATUS_OK)
            return -1;
    }
    return 0;
}

static int push_events(FILE *file, cio_generator *target)
{
    XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, target);
    XML_SetElementHandler(parser, begins, ends);
    XML_SetCharacterDataHandler(parser, text);
    int rc = parse(file, parser);
    XML_ParserFree(parser);
    return rc;
}

static int print_event(cio_generator *g, void *file)
{
    static const char *const kinds[] = {"start", "text", "end"};
    void *sent;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &sent)) >= 0) {
        struct event *event = sent;
        if (event->kind != TEXT || strspn(event->text, " \r\n\t") < (size_t)event->size)
            fprintf(file, "%s %.*s\n", kinds[event->kind], event->kind == TEXT ? event->size : 1000,
                    event->text);
    }
    return rc;
}

static int print_events(FILE *file)
{
    cio_generator *printer = primed(print_event, stdout);
    int rc = push_events(file, printer);
    cio_generator_free(printer);
    return rc;
}

/* Stages from the last to the first; stage is what stands before the filters, or NULL. */
static int push(FILE *file, cio_generator_fn *stage)
{
    cio_generator *printer = primed(bus_locations, stdout);
    struct field_filter north = {"direction", "North Bound", printer};
    cio_generator *northward = primed(filter_on_field, &north);
    struct field_filter route = {"route", "22", northward};
    cio_generator *on_route = primed(filter_on_field, &route);
    cio_generator *staged = stage ? primed(stage, on_route) : NULL;
    cio_generator *dicts = primed(buses_to_dicts, staged ? staged : on_route);
    int rc = push_events(file, dicts);
    cio_generator *all[] = {dicts, staged, on_route, northward, printer};
    for (int i = 0; i < 5; i++)
        cio_generator_free(all[i]);
    return rc;
}

/* ---- a generator with a parser in it ---- */

struct pulled {
    cio_generator *g;
    XML_Parser parser;
    struct bus bus;
    int depth;
};

static void XMLCALL field_begins(void *arg, const char *name, const char **attributes)
{
    struct pulled *p = arg;
    (void)attributes;
    p->depth++;
    if (p->depth == 2)
        p->bus = (struct bus){0};
    if (p->depth == 3 && p->bus.n < FIELDS_MAX)
        snprintf(p->bus.fields[p->bus.n++].name, sizeof p->bus.fields[0].name, "%s", name);
}

static void XMLCALL field_text(void *arg, const char *characters, int n)
{
    struct pulled *p = arg;
    if (p->depth != 3)
        return;
    char *value = p->bus.fields[p->bus.n - 1].value;
    size_t used = strlen(value), room = sizeof p->bus.fields[0].value - used;
    snprintf(value + used, room, "%.*s", n, characters);
}

static void XMLCALL field_ends(void *arg, const char *name)
{
    struct pulled *p = arg;
    (void)name;
    if (p->depth-- == 2 && cio_generator_yield(p->g, &p->bus, NULL) < 0)
        XML_StopParser(p->parser, XML_FALSE);
}

static int buses_in(cio_generator *g, void *file)
{
    struct pulled p = {.g = g, .parser = XML_ParserCreate(NULL)};
    XML_SetUserData(p.parser, &p);
    XML_SetElementHandler(p.parser, field_begins, field_ends);
    XML_SetCharacterDataHandler(p.parser, field_text);
    int rc = parse(file, p.parser);
    XML_ParserFree(p.parser);
    return rc;
}

static int pull(FILE *file)
{
    cio_generator_options options = {.stack_size = 256 * 1024}; /* a library runs on it */
    cio_generator *buses = cio_generator_new_with(&options, buses_in, file);
    cio_generator *printer = primed(bus_locations, stdout);
    void *bus;
    int rc;
    while ((rc = cio_generator_next(buses, &bus)) > 0)
        if (strcmp(bus_field(bus, "route"), "22") == 0 &&
            strcmp(bus_field(bus, "direction"), "North Bound") == 0)
            cio_generator_send(printer, bus, NULL);
    cio_generator_free(printer);
    cio_generator_free(buses);
    return rc;
}

int main(int argc, char **argv)
{
    const char *mode = argc == 3 ? argv[2] : "push";
    FILE *file = argc > 1 ? fopen(argv[1], "re") : NULL;
    int rc = -1;
    if (!file) {
        fprintf(stderr, "usage: buses FILE [push|thread|process|pull|events]\n");
        return 2;
    }
    if (strcmp(mode, "push") == 0)
        rc = push(file, NULL);
    else if (strcmp(mode, "thread") == 0)
        rc = push(file, threaded);
    else if (strcmp(mode, "process") == 0)
        rc = push(file, coprocess);
    else if (strcmp(mode, "pull") == 0)
        rc = pull(file);
    else if (strcmp(mode, "events") == 0)
        rc = print_events(file);
    fclose(file);
    return rc < 0;
}
