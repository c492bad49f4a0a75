/* Files, as they are on the disk. */
#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cio.h>

#include "beneath.h"

static int status_of(int rc)
{
    switch (rc) {
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
    case -EXDEV:
    case -ENXIO:
    case -ENAMETOOLONG: return 404;
    case -EACCES:
    case -EPERM: return 403;
    case -EMFILE:
    case -ENFILE:
    case -EAGAIN:
    case -ENOMEM: return 503;
    default: return 500;
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads a small file whole. Returns 0, or -EAGAIN if that would wait and flags say not to. */
static int read_body(struct http_look *look, int fd, int flags)
{
    size_t size = (size_t)look->is.st_size, got = 0;
    look->body = malloc(size + 1);
    if (!look->body)
        return -ENOMEM;
    while (got < size) {
        struct iovec rest = {look->body + got, size - got};
        ssize_t n = preadv2(fd, &rest, 1, (off_t)got, flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* at its end: it has become shorter */
            free(look->body);
            look->body = NULL;
            return n == 0 ? -EIO : errno == EOPNOTSUPP ? -EAGAIN : -errno;
        }
        got += (size_t)n;
    }
    return 0;
}

static int look_at(struct http_look *look, int fd, int flags)
{
    if (fstat(fd, &look->is) < 0)
        return -EIO;
    if (S_ISDIR(look->is.st_mode))
        return -EISDIR;
    if (!S_ISREG(look->is.st_mode))
        return -ENOENT;
    look->same = look->known && is_same(look->known, &look->is);
    if (look->same || look->is.st_size > DISK_SMALL_MOST)
        return 0;
    return read_body(look, fd, flags);
}

/* Returns 0 or a negated errno: -EAGAIN if it would wait, and was not to. */
static int look_once(struct http_look *look, bool may_wait)
{
    look->body = NULL;
    look->fd = -1;
    int fd = http_open_beneath(look->root, look->name, may_wait);
    if (fd < 0)
        return fd;
    int rc = look_at(look, fd, may_wait ? 0 : RWF_NOWAIT);
    if (rc == 0 && !look->same && !look->body)
        look->fd = fd;
    else
        close(fd);
    return rc;
}

static void tell_status(struct http_look *look, int rc)
{
    look->status = rc == 0 ? 0 : rc == -EISDIR ? 301 : status_of(rc);
}

static int look_in_thread(void *look)
{
    tell_status(look, look_once(look, true));
    return 0;
}

static void give_back(struct http_look *look)
{
    free(look->body);
    if (look->fd >= 0)
        close(look->fd);
}

int http_look(struct http_look *look)
{
    int rc = look_once(look, false);
    if (rc != -EAGAIN) {
        tell_status(look, rc);
        return look->status;
    }
    rc = cio_to_thread(look_in_thread, look);
    if (rc == 0)
        return look->status;
    give_back(look); /* canceled; the thread may have found it all the same */
    return rc == CIO_ECANCELED ? rc : 503;
}
