/* Files below a directory. */
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/*
 * Where openat2(2) is not to be had (some sandboxes): name by name, and no symbolic links at all.
 */
static int walk(int directory, const char *name)
{
    int at = directory, fd = -ENOENT;
    while (*name) {
        char part[NAME_MAX + 1];
        size_t size = strcspn(name, "/");
        bool last = name[size] == 0 || name[size + 1] == 0;
        fd = -ENAMETOOLONG;
        if (size > NAME_MAX)
            break;
        memcpy(part, name, size);
        part[size] = 0;
        name += size + (name[size] == '/');
        fd = strcmp(part, "..") == 0
                 ? -EXDEV
                 : openat(at, part, FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY | O_PATH));
        if (fd == -1)
            fd = -errno;
        if (at != directory)
            close(at);
        at = fd;
        if (fd < 0 || last)
            return fd;
    }
    if (at != directory)
        close(at);
    return fd;
}

/* Whether the kernel has said that it does not know of something. Threads ask as well. */
static bool lacking(const bool *what)
{
    return __atomic_load_n(what, __ATOMIC_RELAXED);
}

static void lacks(bool *what)
{
    __atomic_store_n(what, true, __ATOMIC_RELAXED);
}

int http_open_beneath(int directory, const char *name, bool may_wait)
{
    static bool no_openat2, no_cached;
    struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (!may_wait && (lacking(&no_openat2) || lacking(&no_cached)))
        return -EAGAIN;
    how.resolve |= may_wait ? 0 : RESOLVE_CACHED;
    for (int tries = 0; !lacking(&no_openat2) && tries < (may_wait ? 10 : 1); tries++) {
        int fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (fd >= 0)
            return fd;
        if (errno == EINVAL && !may_wait) /* before Linux 5.12 */
            lacks(&no_cached);
        else if (errno == ENOSYS || errno == EPERM)
            lacks(&no_openat2);
        else if (errno != EAGAIN && errno != EINTR) /* EAGAIN: something was renamed meanwhile */
            return -errno;
    }
    return may_wait && lacking(&no_openat2) ? walk(directory, name) : -EAGAIN;
}
