/* Dates of HTTP (RFC 9110, 5.6.7): seconds since 1970, UTC. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <time.h>

#include "text.h"

enum { HTTP_DATE_SIZE = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Writes HTTP_DATE_SIZE characters and a NUL. Years beyond 9999 are written as 9999's end. */
void http_format_date(char *text, time_t seconds);

/* Reads the three forms that there are. False: it is no date. */
bool http_parse_date(struct http_text text, time_t *seconds);

#endif
