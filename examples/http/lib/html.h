/* The links of an HTML page. */
#ifndef HTTP_HTML_H
#define HTTP_HTML_H

#include "text.h"

struct http_page {
    struct http_text rest; /* at first: the whole page */
    struct http_text raw;  /* inside of a tag whose content is no HTML: its name */
    bool in_tag;
};

/*
 * The next link: what href and src of any element say. Comments, scripts and styles have none.
 * "&amp;" and the like are read. Returns its length, and it in link with a NUL; -1: there are no
 * more. One that does not fit is left out.
 */
long http_next_link(struct http_page *page, char *link, size_t room);

#endif
