/* A server of files: connections, requests, answers. */
#ifndef HTTP_SERVE_H
#define HTTP_SERVE_H

#include <cio.h>

#include "date.h"
#include "files.h"
#include "log.h"

struct http_server {
    struct http_files files;
    struct http_log *log;  /* NULL: none is kept */
    bool lists;            /* a directory without an "index.html" is answered by its names */
    double idle_timeout_s; /* a connection may wait so long for a request, */
    double head_timeout_s; /* a request for the rest of its head, */
    double send_timeout_s; /* and an answer for the client to take more of it */
    time_t now;            /* the second whose text is in `date` */
    char date[HTTP_DATE_SIZE + 1];
    char boundary[24]; /* between the parts of an answer */
};

/* The options and files are filled in already. */
void http_server_init(struct http_server *server);

/* A connection's task: cio_start_server() calls it with the server. */
int http_serve(cio_stream *s, void *server);

#endif
