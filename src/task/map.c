/* Many calls, a bounded number of them at a time, each in a task of its own. */
#include <cio/wait.h>

#include <errno.h>

#include <cio/group.h>

#include "task/task.h"
#include "task/tell.h"

struct map {
    cio_coroutine *fn;
    char *items;
    size_t size;
    size_t next; /* the item of the task that begins next: they begin in order */
    size_t running;
    size_t concurrency;
    bool failed;      /* a call ended with an error: the group will cancel us */
    cio_task *waiter; /* who starts them, while it waits for room */
};

static int call_next(void *arg)
{
    struct map *map = arg;
    size_t mine = map->next++;
    int rc = map->fn(map->items + mine * map->size);
    map->running--;
    map->failed |= rc < 0 && rc != CIO_ECANCELED;
    if (map->waiter && !map->failed)
        cio__wake(map->waiter);
    return rc;
}

struct room_wait {
    struct cio__wait wait;
    const struct map *map;
};

static void tell_room(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct map *map = ((const struct room_wait *)wait)->map;
    cio__tell(tale, "%zu of %zu at a time run, %zu have begun", map->running, map->concurrency,
              map->next);
}

static int wait_for_room(struct map *map)
{
    static const struct cio__wait_kind kind = {.name = "cio_map", .tell = tell_room};
    int rc = 0;
    while (rc == 0 && (map->running == map->concurrency || map->failed)) {
        struct room_wait waiting = {.wait.kind = &kind, .map = map};
        map->waiter = cio__current;
        rc = cio__wait(&waiting.wait);
        map->waiter = NULL;
    }
    return rc;
}

static int start_all(struct map *map, cio_group *group, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = wait_for_room(map);
        if (rc < 0)
            return rc;
        if (!cio_group_start(group, call_next, map))
            return 0; /* the group knows why */
        map->running++;
    }
    return 0;
}

int cio_map(cio_coroutine *fn, void *items, size_t n, size_t size, size_t concurrency)
{
    if (!fn || (!items && n) || !concurrency)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    struct map map = {.fn = fn, .items = items, .size = size, .concurrency = concurrency};
    cio_group group;
    int rc = cio_group_enter(&group);
    if (rc < 0)
        return rc;
    rc = start_all(&map, &group, n);
    return cio_group_exit(&group, rc);
}
