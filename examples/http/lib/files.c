/* The open-file cache. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cio.h>

#include "date.h"
#include "disk.h"
#include "path.h"
#include "types.h"

/* A file that was written so shortly before it was read may change and keep its time. */
#define SETTLED_AFTER 2 /* seconds */

int http_files_init(struct http_files *files, const char *directory)
{
    memset(files, 0, sizeof *files);
    files->root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return files->root < 0 ? -errno : 0;
}

void http_files_release(struct http_file *file)
{
    if (!file || --file->users)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->body);
    free(file);
}

/* ---- what is remembered ---- */

static uint32_t hash_of(struct http_text path)
{
    uint32_t hash = 2166136261U; /* FNV-1a; a list is never longer than all that is remembered */
    for (size_t i = 0; i < path.size; i++)
        hash = (hash ^ (unsigned char)path.at[i]) * 16777619U;
    return hash ^ hash >> 15;
}

static struct http_file **bucket_of(struct http_files *files, uint32_t hash)
{
    return &files->buckets[hash & (FILES_BUCKETS - 1)];
}

static void unlink_use(struct http_files *files, struct http_file *file)
{
    *(file->newer ? &file->newer->older : &files->newest) = file->older;
    *(file->older ? &file->older->newer : &files->oldest) = file->newer;
}

static void link_newest(struct http_files *files, struct http_file *file)
{
    file->newer = NULL;
    file->older = files->newest;
    *(files->newest ? &files->newest->newer : &files->oldest) = file;
    files->newest = file;
}

static size_t bytes_of(const struct http_file *file)
{
    return file->body ? (size_t)file->is.st_size : 0;
}

static void forget(struct http_files *files, struct http_file *file)
{
    struct http_file **place = bucket_of(files, file->hash);
    while (*place != file)
        place = &(*place)->next;
    *place = file->next;
    unlink_use(files, file);
    files->n--;
    files->bytes -= bytes_of(file);
    file->remembered = false;
    http_files_release(file);
}

static void remember(struct http_files *files, struct http_file *file)
{
    struct http_file **place = bucket_of(files, file->hash);
    file->next = *place;
    *place = file;
    link_newest(files, file);
    files->n++;
    files->bytes += bytes_of(file);
    file->remembered = true;
    file->users++;
    while (files->n > FILES_MOST || files->bytes > FILES_BYTES_MOST)
        forget(files, files->oldest);
}

static struct http_file *find(struct http_files *files, struct http_text path, uint32_t hash)
{
    struct http_file *file = *bucket_of(files, hash);
    while (file && !(file->hash == hash && file->path_size == path.size &&
                     memcmp(file->path, path.at, path.size) == 0))
        file = file->next;
    return file;
}

void http_files_free(struct http_files *files)
{
    while (files->newest)
        forget(files, files->newest);
    close(files->root);
}

/* ---- what is on the disk ---- */

/* The name of the file that a path asks for. Returns 0 or a status. */
static int name_of(struct http_text path, char *name)
{
    static const char index[] = "index.html";
    ssize_t size = http_decode_path(path, name, FILES_PATH_MOST - sizeof index);
    if (size < 0)
        return (int)-size;
    if (size == 0 || name[size - 1] == '/')
        memcpy(name + size, index, sizeof index);
    return 0;
}

static void describe(struct http_file *file, const char *name)
{
    char modified[HTTP_DATE_SIZE + 1];
    uint64_t ns = (uint64_t)file->is.st_mtim.tv_sec * 1000000000U + file->is.st_mtim.tv_nsec;
    file->type = http_type_of(name);
    http_format_date(modified, file->is.st_mtim.tv_sec);
    snprintf(file->etag, sizeof file->etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)file->is.st_ino, (uint64_t)file->is.st_size, ns);
    file->fields_size = (size_t)snprintf(
        file->fields, sizeof file->fields,
        "Last-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", modified, file->etag);
}

/* Takes over what was found. NULL: no memory. */
static struct http_file *make(struct http_text path, uint32_t hash, const char *name,
                              const struct http_look *look)
{
    struct http_file *file = calloc(1, sizeof *file + path.size);
    if (!file) {
        free(look->body);
        if (look->fd >= 0)
            close(look->fd);
        return NULL;
    }
    *file = (struct http_file){
        .users = 1, .hash = hash, .is = look->is, .fd = look->fd, .body = look->body};
    file->path_size = path.size;
    memcpy(file->path, path.at, path.size);
    describe(file, name);
    return file;
}

/* It is used again. */
static void touch(struct http_files *files, struct http_file *file)
{
    if (!file->remembered || file == files->newest)
        return;
    unlink_use(files, file);
    link_newest(files, file);
}

/* What is remembered of a file is not true any more, unless another task has seen to it already. */
static void renew(struct http_files *files, struct http_file *old, struct http_file *file)
{
    if (old && old->remembered)
        forget(files, old);
    if (!file)
        return;
    struct http_file *other = find(files, (struct http_text){file->path, file->path_size},
                                   file->hash);
    if (other)
        forget(files, other);
    remember(files, file);
}

/* The file as it is now; old is what was known, or NULL, and held. Returns 0 or why not. */
static int look_again(struct http_files *files, struct http_text path, time_t now,
                      struct http_file *old, struct http_file **ret)
{
    char name[FILES_PATH_MOST];
    struct http_look look = {.root = files->root, .name = name};
    struct http_file *file = NULL;
    look.known = old && old->settled ? &old->is : NULL;
    int status = name_of(path, name);
    if (!status)
        status = http_look(&look);
    if (status == CIO_ECANCELED)
        return status;
    if (!status && look.same) {
        old->checked = now;
        old->users++;
        touch(files, old);
        *ret = old;
        return 0;
    }
    if (!status && !(file = make(path, hash_of(path), name, &look)))
        status = 503;
    if (file) {
        file->checked = now;
        file->settled = now - file->is.st_mtim.tv_sec >= SETTLED_AFTER;
    }
    renew(files, old, file);
    *ret = file;
    return status;
}

int http_files_open(struct http_files *files, struct http_text path, time_t now,
                    struct http_file **ret)
{
    struct http_file *file = find(files, path, hash_of(path));
    if (!file || file->checked != now) {
        if (file)
            file->users++;
        int status = look_again(files, path, now, file, ret);
        http_files_release(file);
        return status;
    }
    file->users++;
    touch(files, file);
    *ret = file;
    return 0;
}
