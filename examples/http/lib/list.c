/* Pages of names. */
#include "list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cio.h>

#include "beneath.h"
#include "files.h"
#include "path.h"

struct names {
    char **names; /* directories with a '/' behind them */
    size_t n, room;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
}

static bool add_name(struct names *names, const struct dirent *entry)
{
    if (names->n == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        char **more = realloc(names->names, room * sizeof *more);
        if (!more)
            return false;
        names->names = more;
        names->room = room;
    }
    char *name = malloc(strlen(entry->d_name) + 2);
    if (!name)
        return false;
    stpcpy(stpcpy(name, entry->d_name), entry->d_type == DT_DIR ? "/" : "");
    names->names[names->n++] = name;
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Returns 0 or a status. The descriptor is taken over. */
static int read_names(int fd, struct names *names)
{
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int rc = errno;
        close(fd);
        return rc == ENOTDIR ? 404 : 503;
    }
    int status = 0;
    for (struct dirent *entry; !status && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && names->n < LIST_NAMES_MOST && !add_name(names, entry))
            status = 503;
    closedir(directory);
    if (names->n)
        qsort(names->names, names->n, sizeof names->names[0], compare);
    return status;
}

static void print_text(FILE *page, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", page); break;
        case '<': fputs("&lt;", page); break;
        case '>': fputs("&gt;", page); break;
        case '"': fputs("&quot;", page); break;
        default: putc(*text, page); break;
        }
    }
}

/* "./" before a name: one like "a:b" would be a scheme else. */
static void print_link(FILE *page, const char *name)
{
    char encoded[3 * 256 + 8];
    if (http_encode_path(name, encoded, sizeof encoded) < 0)
        return;
    fprintf(page, "<li><a href=\"./%s\">", encoded);
    print_text(page, name);
    fputs("</a>\n", page);
}

static int print_page(const char *name, const struct names *names, char **page, size_t *size)
{
    FILE *file = open_memstream(page, size);
    if (!file)
        return 503;
    fputs("<!doctype html>\n<meta charset=utf-8>\n<title>/", file);
    print_text(file, name);
    fputs("</title>\n<ul>\n", file);
    if (*name)
        fputs("<li><a href=\"../\">../</a>\n", file);
    for (size_t i = 0; i < names->n; i++)
        print_link(file, names->names[i]);
    fputs("</ul>\n", file);
    if (fclose(file) == 0)
        return 0;
    free(*page);
    *page = NULL;
    return 503;
}

struct listing {
    int root;
    const char *name;
    char *page; /* NULL: there is none */
    size_t size;
    int status;
};

static int make_page(struct listing *listing)
{
    const char *name = listing->name;
    struct names names = {0};
    int fd = http_open_beneath(listing->root, *name ? name : ".", true);
    if (fd < 0)
        return fd == -EACCES ? 403 : fd == -EMFILE || fd == -ENFILE ? 503 : 404;
    int status = read_names(fd, &names);
    if (!status)
        status = print_page(name, &names, &listing->page, &listing->size);
    free_names(&names);
    return status;
}

static int make_page_in_thread(void *listing)
{
    ((struct listing *)listing)->status = make_page(listing);
    return 0;
}

int http_list(int root, struct http_text path, char **page, size_t *size)
{
    char name[FILES_PATH_MOST];
    struct listing listing = {.root = root, .name = name};
    if (http_decode_path(path, name, sizeof name) < 0)
        return 404;
    int rc = cio_to_thread(make_page_in_thread, &listing);
    if (rc < 0) { /* canceled; the thread may have made it all the same */
        free(listing.page);
        return rc == CIO_ECANCELED ? rc : 503;
    }
    *page = listing.page;
    *size = listing.size;
    return listing.status;
}
