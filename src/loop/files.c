/* Who waits for which descriptor. */
#include "loop/files.h"

#include <errno.h>
#include <string.h>

#include "loop/loop.h"
#include "os/memory.h"

#define BOTH (CIO__READABLE | CIO__WRITABLE)
#define STACK_LINES 6 /* upwards from where a task waits for a file: 400 bytes, usually */

static uint64_t tag_of(const struct cio__file *file)
{
    return (uint64_t)file->generation << 32 | (uint32_t)file->fd;
}

static void detach_watch(cio_loop *loop, struct cio__file *file, enum cio__direction direction)
{
    cio_handle *handle = file->watch[direction];
    if (!handle)
        return;
    file->watch[direction] = NULL;
    if (cio__handle_state(handle) != CIO__WATCH)
        cio__ready_remove(&loop->ready, handle);
    CIO__FORGET_VARS(handle);
    cio__handle_set_state(handle, CIO__IDLE);
}

void cio__files_free(cio_loop *loop)
{
    struct cio__files *files = &loop->files;
    for (size_t i = 0; i < files->n_blocks; i++) {
        for (int k = 0; files->blocks[i] && k < CIO__FILES_A_BLOCK; k++) {
            detach_watch(loop, &files->blocks[i][k], CIO__READ);
            detach_watch(loop, &files->blocks[i][k], CIO__WRITE);
        }
        cio__free(files->blocks[i]);
    }
    cio__free(files->blocks);
    *files = (struct cio__files){0};
}

static bool make_room(struct cio__files *files, size_t block)
{
    if (block < files->n_blocks)
        return true;
    size_t n = block + 1 > files->n_blocks * 2 ? block + 1 : files->n_blocks * 2;
    struct cio__file **blocks = cio__realloc(files->blocks, n * sizeof *blocks);
    if (!blocks)
        return false;
    memset(blocks + files->n_blocks, 0, (n - files->n_blocks) * sizeof *blocks);
    files->blocks = blocks;
    files->n_blocks = n;
    return true;
}

static void init(struct cio__file *file, int fd)
{
    *file = (struct cio__file){.fd = fd, .ready = BOTH};
    cio__ring_init(&file->waits[CIO__READ]);
    cio__ring_init(&file->waits[CIO__WRITE]);
}

static struct cio__file *make_block(cio_loop *loop, size_t block)
{
    struct cio__files *files = &loop->files;
    struct cio__file *made = cio__alloc(CIO__FILES_A_BLOCK * sizeof *made);
    if (!made)
        return NULL;
    for (int i = 0; i < CIO__FILES_A_BLOCK; i++)
        init(&made[i], (int)block * CIO__FILES_A_BLOCK + i);
    cio__want_attention(loop); /* perhaps the first thing that can be late */
    return files->blocks[block] = made;
}

struct cio__file *cio__file_get(cio_loop *loop, int fd)
{
    struct cio__file *file = cio__file_find(loop, fd);
    if (likely(file))
        return file;
    if (!loop->os->ops->is_open(loop->os, fd))
        return NULL; /* the table is not grown for a number that is no descriptor */
    size_t block = (size_t)fd / CIO__FILES_A_BLOCK;
    if (!make_room(&loop->files, block) || !make_block(loop, block))
        return NULL;
    return cio__file_find(loop, fd);
}

/*
 * A task's stack lies on a page of its own, to which nobody else has been lately: to look such pages
 * up takes a tenth of a microsecond each, but hardly more for several at once than for one. Where
 * messages are large all else has been cold since, too: so the frames that the task returns through
 * come along, which is an eighth of the price of such a message.
 */
static inline void fetch_stack(const void *frame)
{
    for (int line = -1; line < STACK_LINES; line++)
        __builtin_prefetch((const void *)((intptr_t)frame + line * CIO__CACHE_LINE));
}

/* Each is left in a ring of its own, so that it may be removed whether it was woken or not. */
static void wake_waits(cio_loop *loop, cio_ring *waits)
{
    cio_ring *place = waits->next;
    cio__ring_init(waits);
    while (place != waits) {
        cio_ring *next = place->next;
        cio_handle *handle = (cio_handle *)((char *)place - offsetof(cio_handle, waiting));
        cio__ring_init(place);
        if (likely(cio__handle_state(handle) == CIO__IDLE))
            cio__ready_push(&loop->ready, handle);
        fetch_stack(handle->hint);
        place = next;
    }
}

void cio__file_renew(cio_loop *loop, struct cio__file *file)
{
    detach_watch(loop, file, CIO__READ);
    detach_watch(loop, file, CIO__WRITE);
    file->generation++;
    file->registered = 0;
    file->ready = BOTH;
    file->owned_in = 0;
    file->short_is_last = false;
    file->taken = false;
    wake_waits(loop, &file->waits[CIO__READ]);
    wake_waits(loop, &file->waits[CIO__WRITE]);
}

void cio__file_own(cio_loop *loop, struct cio__file *file)
{
    cio__file_renew(loop, file);
    file->owned_in = loop->runs;
    file->short_is_last = loop->os->ops->is_tcp(loop->os, file->fd);
}

/* What the kernel should be asked for, given who waits. */
static unsigned wanted(const struct cio__file *file)
{
    bool watched = file->watch[CIO__READ] || file->watch[CIO__WRITE];
    bool waited = cio__file_awaited(file, CIO__READ) || cio__file_awaited(file, CIO__WRITE);
    if (!watched)
        return waited || (file->registered & CIO__EDGE) ? BOTH | CIO__EDGE : 0;

    unsigned readiness = 0;
    if (file->watch[CIO__READ] || cio__file_awaited(file, CIO__READ))
        readiness |= CIO__READABLE;
    if (file->watch[CIO__WRITE] || cio__file_awaited(file, CIO__WRITE))
        readiness |= CIO__WRITABLE;
    return readiness;
}

static int ask_kernel(cio_loop *loop, struct cio__file *file, unsigned readiness)
{
    if (cio__loop_inherited(loop)) /* the kernel's list is still the parent's too */
        return readiness ? CIO_EFORKED : 0;
    bool known = file->registered != 0;
    int rc = loop->os->ops->watch(loop->os, file->fd, readiness, tag_of(file), known);
    if (rc == 0)
        file->registered = (uint8_t)readiness;
    return rc;
}

static int update(cio_loop *loop, struct cio__file *file)
{
    unsigned readiness = wanted(file);
    return readiness == file->registered ? 0 : ask_kernel(loop, file, readiness);
}

/*
 * A descriptor that we did not open, or not in this run of the loop, may have been closed and
 * reused behind our back. Asking for it again costs a system call a wait, finds that out, and has
 * its readiness told anew.
 */
int cio__file_wait(cio_loop *loop, struct cio__file *file, enum cio__direction direction,
                   cio_handle *handle)
{
    cio__ring_append(&file->waits[direction], &handle->waiting);
    bool owned = file->owned_in == loop->runs;
    int rc = owned ? update(loop, file) : ask_kernel(loop, file, wanted(file));
    if (rc < 0)
        cio__ring_remove(&handle->waiting);
    return rc;
}

static void tell(cio_loop *loop, struct cio__file *file, enum cio__direction direction)
{
    cio_handle *watch = file->watch[direction];
    if (watch && cio__handle_state(watch) == CIO__WATCH)
        cio__ready_push_as(&loop->ready, watch, CIO__WATCH);
    wake_waits(loop, &file->waits[direction]);
}

void cio__file_event(cio_loop *loop, const struct cio__event *event)
{
    struct cio__file *file = cio__file_of(loop, event);
    if (!file || tag_of(file) != event->tag)
        return;
    file->ready |= (uint8_t)event->readiness;
    if (event->readiness & CIO__URGENT)
        file->short_is_last = false; /* reads stop before and after it */
    if (event->readiness & CIO__READABLE)
        tell(loop, file, CIO__READ);
    if (event->readiness & CIO__WRITABLE)
        tell(loop, file, CIO__WRITE);
    if (!(file->registered & CIO__EDGE))
        update(loop, file); /* a level that nobody waits for any more would be told for ever */
}

int cio__file_missing(const cio_loop *loop, int fd)
{
    return loop->os->ops->is_open(loop->os, fd) ? -ENOMEM : -EBADF;
}

static int watch_file(cio_loop *loop, int fd, cio_handle *handle, cio_callback *fn, void *arg,
                      enum cio__direction direction)
{
    int rc = cio__check_call(loop, handle, fn);
    if (rc < 0)
        return rc;
    if (fd < 0)
        return -EBADF;
    struct cio__file *file = cio__file_get(loop, fd);
    if (!file)
        return cio__file_missing(loop, fd);
    if (file->taken)
        return CIO_ESTATE;

    cio_handle *before = file->watch[direction];
    file->watch[direction] = handle;
    rc = ask_kernel(loop, file, wanted(file));
    file->watch[direction] = before;
    if (rc < 0)
        return rc;
    detach_watch(loop, file, direction);
    file->watch[direction] = handle;
    handle->fn = fn;
    handle->arg = arg;
    handle->loop = loop;
    handle->hint = cio__vars_hint(handle, CIO__HINT_STAYS);
    handle->when_ns = (int64_t)fd * 2 + direction; /* so that cio_handle_cancel() finds it */
    cio__handle_set_state(handle, CIO__WATCH);
    return 0;
}

int cio_add_reader(cio_loop *loop, int fd, cio_handle *handle, cio_callback *fn, void *arg)
{
    return watch_file(loop, fd, handle, fn, arg, CIO__READ);
}

int cio_add_writer(cio_loop *loop, int fd, cio_handle *handle, cio_callback *fn, void *arg)
{
    return watch_file(loop, fd, handle, fn, arg, CIO__WRITE);
}

int cio__file_unwatch(cio_loop *loop, int fd, enum cio__direction direction)
{
    struct cio__file *file = cio__file_find(loop, fd);
    if (!file || !file->watch[direction])
        return 0;
    detach_watch(loop, file, direction);
    update(loop, file);
    return 1;
}

int cio_remove_reader(cio_loop *loop, int fd)
{
    return loop ? cio__file_unwatch(loop, fd, CIO__READ) : -EINVAL;
}

int cio_remove_writer(cio_loop *loop, int fd)
{
    return loop ? cio__file_unwatch(loop, fd, CIO__WRITE) : -EINVAL;
}
