/* Answers. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "head.h"
#include "out.h"
#include "serve.h"

struct http_connection {
    struct http_server *server;
    struct http_request request;
    bool last;     /* the connection ends after this answer */
    bool lingers;  /* but the client may be sending yet */
    char peer[48]; /* for the log */
    struct http_out out;
};

/* Answers the request, whose head has so many bytes, and takes it from the stream. */
void http_answer(struct http_connection *c, size_t head);

/* Answers with an error, after which there can be no more requests: what follows is unknown. */
void http_refuse(struct http_connection *c, int status);

#endif
