/*
 * A directory of files in a temporary place, and a server of it: examples/http_files. The directory
 * goes with the process.
 */
#ifndef CIO_TESTS_SITE_H
#define CIO_TESTS_SITE_H

#include "program.h"

struct site {
    struct program server;
    struct sockaddr_in address;
    char url[64]; /* "http://127.0.0.1:PORT" */
};

/* The directory's path; it is made by the first call. */
const char *site_root(void);

/* The path of a file there, until the eighth call after this one. */
const char *site_path(const char *name);

/* Writes a file there; directories on the way are made. */
void site_write(const char *name, const void *data, size_t size);
void site_write_text(const char *name, const char *text);

/* Starts the server with further options, up to a NULL. */
void site_serve(struct site *site, const char *const *options);

/* A URL there, until the eighth call after this one. */
const char *site_url(const struct site *site, const char *path);

/* Ends the server by SIGTERM; it has said nothing and returns 0. */
void site_stop(struct site *site);

#endif
