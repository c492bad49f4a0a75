/* Many calls, a bounded number of them at a time. */
#include <cio/wait.h>

#include <errno.h>

#include <cio/group.h>

#include "task/task.h"

struct map {
    cio_coroutine *fn;
    char *items;
    size_t n;
    size_t size;
    size_t next; /* the first that nobody has taken */
};

static int work(void *arg)
{
    struct map *map = arg;
    int rc = 0;
    while (rc >= 0 && map->next < map->n) {
        size_t mine = map->next++;
        rc = map->fn(map->items + mine * map->size);
    }
    return rc < 0 ? rc : 0;
}

int cio_map(cio_coroutine *fn, void *items, size_t n, size_t size, size_t concurrency)
{
    if (!fn || (!items && n) || !concurrency)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    struct map map = {.fn = fn, .items = items, .n = n, .size = size};
    cio_group group;
    int rc = cio_group_enter(&group);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n && i < concurrency; i++)
        if (!cio_group_start(&group, work, &map))
            break; /* the group knows */
    return cio_group_exit(&group, 0);
}
