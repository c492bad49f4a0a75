/* Paths of URLs and names of files. */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H

#include <sys/types.h>

#include "text.h"

/*
 * Decodes a path ("/a%20b/./c/../d") to one of files, relative to the root of the site: "a b/d",
 * and "" for the root itself. It ends with a '/' if the path did, or named a directory by "." or
 * "..". Returns its length, without the NUL; -400 if it leads above the root or has a NUL in it;
 * -414 if it does not fit.
 */
ssize_t http_decode_path(struct http_text path, char *decoded, size_t room);

/*
 * Encodes a name for a URL's path: what is not a letter, a digit or one of -._~/ becomes %XX.
 * Returns the length, or -414 if it does not fit.
 */
ssize_t http_encode_path(const char *name, char *encoded, size_t room);

#endif
