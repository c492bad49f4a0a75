/* The open-file cache. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "beneath.h"
#include "date.h"
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

/* Opens what a name means. Returns 0 or a status. */
static int open_name(const struct http_files *files, const char *name, int *fd, struct stat *is)
{
    *fd = http_open_beneath(files->root, name);
    if (*fd < 0)
        return status_of(*fd);
    int status = fstat(*fd, is) < 0 ? 500 : S_ISREG(is->st_mode) ? 0 : 404;
    if (status == 404 && S_ISDIR(is->st_mode))
        status = 301;
    if (status)
        close(*fd);
    return status;
}

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

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads a small file whole. Returns 0 or a status. */
static int read_body(struct http_file *file, int fd)
{
    size_t size = (size_t)file->is.st_size, got = 0;
    file->body = malloc(size + 1);
    if (!file->body)
        return 503;
    while (got < size) {
        ssize_t n = pread(fd, file->body + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 500; /* or it has become shorter */
        got += (size_t)n;
    }
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

/* Takes the descriptor over. Returns 0 or a status. */
static int load(struct http_text path, uint32_t hash, const char *name, int fd,
                const struct stat *is, struct http_file **ret)
{
    struct http_file *file = calloc(1, sizeof *file + path.size);
    int status = 503;
    if (file) {
        *file = (struct http_file){.users = 1, .hash = hash, .is = *is, .fd = -1};
        file->path_size = path.size;
        memcpy(file->path, path.at, path.size);
        describe(file, name);
        bool small = is->st_size <= FILES_SMALL_MOST;
        file->fd = small ? -1 : fd;
        status = small ? read_body(file, fd) : 0;
    }
    if (!file || file->fd < 0)
        close(fd);
    if (status)
        http_files_release(file);
    else
        *ret = file;
    return status;
}

/* Whether what is remembered is still true; if not, what is there now, in *fd. */
static int look_again(struct http_files *files, struct http_file *old, const char *name, int *fd,
                      struct stat *is)
{
    int status = open_name(files, name, fd, is);
    if (status || !old)
        return status;
    if (old->settled && is_same(&old->is, is)) {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

int http_files_open(struct http_files *files, struct http_text path, time_t now,
                    struct http_file **ret)
{
    char name[FILES_PATH_MOST];
    uint32_t hash = hash_of(path);
    struct http_file *file = find(files, path, hash);
    struct stat is;
    int fd = -1;
    if (!file || file->checked != now) {
        int status = name_of(path, name);
        if (!status)
            status = look_again(files, file, name, &fd, &is);
        if (file && (status || fd >= 0)) {
            forget(files, file);
            file = NULL;
        }
        if (!status && !file)
            status = load(path, hash, name, fd, &is, &file);
        if (status)
            return status;
        file->checked = now;
    }
    *ret = file;
    if (!file->remembered) {
        file->settled = now - file->is.st_mtim.tv_sec >= SETTLED_AFTER;
        remember(files, file); /* with the one user that it was made for */
        return 0;
    }
    file->users++;
    if (file != files->newest) {
        unlink_use(files, file);
        link_newest(files, file);
    }
    return 0;
}
