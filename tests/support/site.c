/* A directory of files, and a server of it. */
#include "site.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

enum { TEXTS = 8, TEXT_MOST = 512 };

static char root[64];
static pid_t owner;

static char *next_text(void)
{
    static char texts[TEXTS][TEXT_MOST];
    static int n;
    return texts[n++ % TEXTS];
}

static int delete (const char *path, const struct stat *is, int kind, struct FTW *place)
{
    (void)is, (void)kind, (void)place;
    return remove(path);
}

static void delete_root(void)
{
    if (getpid() == owner)
        nftw(root, delete, 8, FTW_DEPTH | FTW_PHYS);
}

const char *site_root(void)
{
    if (!root[0]) {
        strcpy(root, "/tmp/cio-site-XXXXXX");
        assert_non_null(mkdtemp(root));
        owner = getpid();
        assert_int_equal(atexit(delete_root), 0);
    }
    return root;
}

const char *site_path(const char *name)
{
    char *text = next_text();
    assert_true(snprintf(text, TEXT_MOST, "%s/%s", site_root(), name) < TEXT_MOST);
    return text;
}

static void make_directories(const char *path)
{
    char part[TEXT_MOST];
    for (const char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
}

void site_write(const char *name, const void *data, size_t size)
{
    const char *path = site_path(name);
    make_directories(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

void site_write_text(const char *name, const char *text)
{
    site_write(name, text, strlen(text));
}

void site_serve(struct site *site, const char *const *options)
{
    const char *arguments[PROGRAM_ARGUMENTS_MOST + 1] = {"--port", "0"};
    int n = 2;
    for (; *options; options++)
        arguments[n++] = *options;
    arguments[n] = site_root();
    program_start(&site->server, "http_files", arguments);
    site->address = program_address(&site->server);
    snprintf(site->url, sizeof site->url, "http://127.0.0.1:%d", ntohs(site->address.sin_port));
}

const char *site_url(const struct site *site, const char *path)
{
    char *text = next_text();
    snprintf(text, TEXT_MOST, "%s%s", site->url, path);
    return text;
}

void site_stop(struct site *site)
{
    assert_int_equal(kill(site->server.pid, SIGTERM), 0);
    program_finish(&site->server);
    assert_string_equal(site->server.err_text, "");
    assert_int_equal(site->server.exit_code, 0);
}
