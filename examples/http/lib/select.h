/* What of a file an answer sends: conditional requests and ranges (RFC 9110, 13 and 14). */
#ifndef HTTP_SELECT_H
#define HTTP_SELECT_H

#include "files.h"
#include "head.h"

enum { HTTP_RANGES_MOST = 10 }; /* who asks for more gets the whole file */

struct http_range {
    uint64_t begin;
    uint64_t size; /* bytes, at least 1 */
};

struct http_selection {
    int status; /* 200: all of it; 206: the ranges; 304, 412, 416: nothing */
    int n_ranges;
    struct http_range ranges[HTTP_RANGES_MOST];
};

void http_select(struct http_selection *selection, const struct http_request *request,
                 const struct http_file *file);

#endif
