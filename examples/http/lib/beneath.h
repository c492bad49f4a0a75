/* Opens files below a directory. */
#ifndef HTTP_BENEATH_H
#define HTTP_BENEATH_H

#include <stdbool.h>

/*
 * Opens a file for reading, without waiting for a pipe's other end. name is relative to the
 * directory; nothing on the way may lead out of it. Returns a descriptor or a negated errno: -EAGAIN
 * if it must wait for the disk, and may not.
 */
int http_open_beneath(int directory, const char *name, bool may_wait);

#endif
