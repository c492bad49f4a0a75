/* URLs of HTTP: taken apart, and resolved (RFC 3986). */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "text.h"

enum { HTTP_URL_MOST = 2048 };

struct http_url {
    bool tls;       /* "https" */
    char host[256]; /* in small letters; an IPv6 address without its brackets */
    char port[6];
    char authority[272];      /* as the Host field has it: without the usual port */
    char path[HTTP_URL_MOST]; /* with the query, without the fragment; begins with '/' */
};

/*
 * What a reference means on a page: "/x", "../y?z", "//host/", "http://...". page may be NULL: then
 * it must be absolute. Dots are taken out, and letters that may be either way are made small, so
 * that one place has one name. Returns 0; 1: it leads to no page (another scheme, "mailto:", or
 * only to a place on the same page); -1: it is broken.
 */
int http_url_resolve(struct http_url *url, const struct http_url *page, struct http_text reference);

/* The whole of it, with a NUL. False if it does not fit. */
bool http_url_print(const struct http_url *url, char *text, size_t room);

#endif
