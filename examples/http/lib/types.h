/* What a file's name says of its content. */
#ifndef HTTP_TYPES_H
#define HTTP_TYPES_H

const char *http_type_of(const char *name); /* "application/octet-stream" if it says nothing */

#endif
