/*
 * Looking at a file without keeping the loop waiting for the disk: what the kernel has in memory is
 * looked at in place, anything else in a thread.
 */
#ifndef HTTP_DISK_H
#define HTTP_DISK_H

#include <stdbool.h>
#include <sys/stat.h>

enum { DISK_SMALL_MOST = 64 << 10 }; /* a larger file is read when it is sent */

struct http_look {
    int root;                 /* the directory */
    const char *name;         /* below it */
    const struct stat *known; /* what it was when it was last looked at, or NULL */

    /* What is found if the status is 0. */
    bool same; /* it is as it was known; nothing of the following */
    struct stat is;
    int fd;     /* of a large file, else -1 */
    char *body; /* of a small one, to be freed, else NULL */
    int status;
};

/*
 * Returns 0; the status of the answer: 301 (a directory), 403, 404, 500, 503; or CIO_ECANCELED. If
 * it is not 0, there is nothing to give back.
 */
int http_look(struct http_look *look);

#endif
