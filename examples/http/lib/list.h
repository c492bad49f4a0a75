/* What a directory without an "index.html" has in it, as a page. */
#ifndef HTTP_LIST_H
#define HTTP_LIST_H

#include "text.h"

enum { LIST_NAMES_MOST = 10000 };

/*
 * Makes a page of links to what is there at a request's path, sorted; names that begin with a dot
 * are left out. Returns 0 and the page, to be freed; or the status of the answer: 403, 404, 500,
 * 503; or CIO_ECANCELED. Only the task waits for the disk.
 */
int http_list(int root, struct http_text path, char **page, size_t *size);

#endif
