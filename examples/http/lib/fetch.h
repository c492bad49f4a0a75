/* A client: one request, on a connection of its own. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include <cio.h>

#include "head.h"
#include "url.h"

struct http_fetch {
    const struct http_url *url;
    bool head_only;             /* HEAD: no body is wanted */
    const cio_tls_context *tls; /* for "https": CIO_TLS_CLIENT, or one of another trust */
    char *body; /* where the body goes; one that is larger is cut off, as HTML can be */
    size_t room;
    size_t size; /* of it, as far as it was read */
    bool cut;    /* there is more */
    int status;
    bool is_html;
    char location[HTTP_URL_MOST]; /* of a redirection; else "" */
    char why[200];                /* what was wrong, in words, where there are some */
};

/*
 * Gets it. Returns 0 and the answer, whatever its status; or a negated errno or CIO_E...;
 * CIO_EOF if the connection ended too soon; -EPROTO for what is no answer. Canceled: the connection
 * is dropped.
 */
int http_fetch(struct http_fetch *fetch);

#endif
