/* Opens files below a directory. */
#ifndef HTTP_BENEATH_H
#define HTTP_BENEATH_H

/*
 * Opens a file for reading, without waiting for a pipe's other end. name is relative to the
 * directory; nothing on the way may lead out of it. Returns a descriptor or a negated errno.
 */
int http_open_beneath(int directory, const char *name);

#endif
