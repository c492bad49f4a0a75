/*
 * The files below a directory, and what is remembered of those that were asked for: a small one's
 * bytes, a large one's descriptor, and the fields that describe it. Whether a file is still the
 * same is looked up once a second at most, so a busy one costs no system call.
 *
 * No path leads out of the directory: not by "..", and not by a symbolic link.
 *
 * Only the task that asks waits for the disk: see disk.h. Large files are read by cio_sendfile().
 */
#ifndef HTTP_FILES_H
#define HTTP_FILES_H

#include <sys/stat.h>
#include <sys/types.h>

#include "text.h"

enum {
    FILES_MOST = 1000,           /* that are remembered */
    FILES_BYTES_MOST = 32 << 20, /* of their contents */
    FILES_BUCKETS = 2048,        /* a power of two */
    FILES_PATH_MOST = 4096,      /* bytes of a decoded path */
};

struct http_file {
    struct http_file *next;          /* in its bucket */
    struct http_file *newer, *older; /* by last use */
    size_t users;                    /* and one more while it is remembered */
    bool remembered;
    bool settled; /* its times tell whether it has changed: it was not written a moment ago */
    uint32_t hash;
    time_t checked;
    struct stat is;
    int fd;     /* of a large file, else -1 */
    char *body; /* of a small one, else NULL */
    const char *type;
    char etag[64];    /* with its quotes */
    char fields[320]; /* of an answer that sends it: all but Content-Length and Content-Range */
    size_t fields_size;
    size_t path_size;
    char path[]; /* as it was asked for */
};

struct http_files {
    int root;
    struct http_file *buckets[FILES_BUCKETS];
    struct http_file *newest, *oldest;
    size_t n, bytes;
};

/* Returns 0 or a negated errno: the directory cannot be opened. */
int http_files_init(struct http_files *files, const char *directory);
void http_files_free(struct http_files *files);

/*
 * The file at a request's path, still encoded; a path that ends with '/' means the "index.html"
 * there. now is the time in seconds. Returns 0 and the file, to be given back by
 * http_files_release(); or the status of the answer: 301 (a directory: the path lacks its '/'),
 * 400, 403, 404, 414, 500, 503; or CIO_ECANCELED.
 */
int http_files_open(struct http_files *files, struct http_text path, time_t now,
                    struct http_file **file);
void http_files_release(struct http_file *file);

#endif
