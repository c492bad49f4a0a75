/* examples/http_files, as real clients see it: curl and wrk. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net.h"
#include "site.h"
#include "test.h"

enum { BIG = 3000000 };

static char bytes[BIG + 1];

static void serve_some_files(struct site *site)
{
    net_fill(bytes, BIG, 7, 0);
    site_write("big.bin", bytes, BIG);
    site_write_text("index.html", "<p>home</p>\n");
    site_write_text("a b/c.txt", "0123456789");
    site_write_text("a b/index.html", "<p>b</p>\n");
    site_write_text("empty.json", "");
    site_serve(site, ARGUMENTS(NULL));
}

/* curl's output for these arguments, silent but for errors. */
static const char *curl(struct program *p, const char *const *arguments)
{
    const char *all[PROGRAM_ARGUMENTS_MOST + 1] = {"-sS", "--max-time", "15"};
    for (int i = 0; arguments[i]; i++)
        all[i + 3] = arguments[i];
    program_run_client(p, "curl", all);
    if (p->exit_code != 0)
        fail_msg("curl: %d: %s", p->exit_code, p->err_text);
    return p->out_text;
}

#define CURL(...) curl(&p, ARGUMENTS(__VA_ARGS__))

TEST(gets_files)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    assert_string_equal(CURL(site_url(&site, "/")), "<p>home</p>\n");
    assert_string_equal(CURL(site_url(&site, "/a%20b/c.txt")), "0123456789");
    assert_string_equal(CURL(site_url(&site, "/a%20b/")), "<p>b</p>\n");
    assert_string_equal(CURL(site_url(&site, "/a%20b/x/%2e%2E/c.txt?q=1")), "0123456789");
    assert_string_equal(CURL("--http1.0", site_url(&site, "/index.html")), "<p>home</p>\n");
    CURL("-i", site_url(&site, "/empty.json"));
    program_assert_contains(p.out_text, "HTTP/1.1 200 OK\r\n");
    program_assert_contains(p.out_text, "Content-Type: application/json\r\n");
    program_assert_contains(p.out_text, "Content-Length: 0\r\n");
    site_stop(&site);
}

static size_t read_file(const char *path, char *data, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size_t size = 0;
    for (ssize_t n; (n = read(fd, data + size, room - size)) > 0;)
        size += (size_t)n;
    close(fd);
    return size;
}

TEST(gets_a_large_file)
{
    static char got[BIG + 1];
    struct site site;
    struct program p;
    serve_some_files(&site);
    const char *copy = site_path("copy");
    CURL("-o", copy, site_url(&site, "/big.bin"));
    assert_int_equal(read_file(copy, got, sizeof got), BIG);
    assert_memory_equal(got, bytes, BIG);
    CURL("-r", "1000000-2999998", "-o", copy, site_url(&site, "/big.bin"));
    assert_int_equal(read_file(copy, got, sizeof got), 1999999);
    assert_memory_equal(got, bytes + 1000000, 1999999);
    CURL("-o", copy, "--limit-rate", "6M", site_url(&site, "/big.bin"));
    assert_int_equal(read_file(copy, got, sizeof got), BIG);
    assert_memory_equal(got, bytes, BIG);
    site_stop(&site);
}

/* Whether the server has made a thread to wait for the disk in. */
static bool has_a_thread(const struct site *site)
{
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task", (int)site->server.pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/comm", (int)site->server.pid, entry->d_name);
        FILE *file = fopen(path, "re");
        found = file && fgets(name, sizeof name, file) && strcmp(name, "cio-0\n") == 0;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return found;
}

/* Whether the kernel can say at once that it has a file in memory: all of what the server asks. */
static bool can_look_at_once(const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = 0x20}; /* RESOLVE_CACHED */
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    char byte;
    struct iovec one = {&byte, 1};
    bool can = fd >= 0 && preadv2(fd, &one, 1, 0, RWF_NOWAIT) == 1;
    if (fd >= 0)
        close(fd);
    return can;
}

static void forget_contents(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

TEST(waits_for_the_disk_in_a_thread_and_only_if_it_must)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    site_write("cold.bin", bytes, 10000);
    if (can_look_at_once(site_path("index.html"))) {
        assert_string_equal(CURL(site_url(&site, "/")), "<p>home</p>\n");
        CURL("-o", "/dev/null", site_url(&site, "/big.bin"));
        assert_false(has_a_thread(&site));
    }
    forget_contents(site_path("cold.bin"));
    site_write_text("twin", "of it"); /* to look at a file brings it back */
    forget_contents(site_path("twin"));
    bool cold = !can_look_at_once(site_path("twin"));
    assert_memory_equal(CURL(site_url(&site, "/cold.bin")), bytes, 10000);
    if (cold)
        assert_true(has_a_thread(&site));
    assert_memory_equal(CURL(site_url(&site, "/cold.bin")), bytes, 10000); /* remembered */
    site_stop(&site);
    if (!cold)
        test_skip("the file did not leave memory: nothing to wait for");
}

TEST(head_has_the_fields_and_no_body)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    CURL("-I", site_url(&site, "/big.bin"), site_url(&site, "/none"), site_url(&site, "/"));
    program_assert_contains(p.out_text, "Content-Length: 3000000\r\n");
    program_assert_contains(p.out_text, "Accept-Ranges: bytes\r\n");
    program_assert_contains(p.out_text, "HTTP/1.1 404 Not Found\r\n");
    program_assert_contains(p.out_text, "Content-Length: 12\r\n");
    program_assert_lacks(p.out_text, "home");
    site_stop(&site);
}

TEST(keeps_the_connection)
{
    static const char format[] = "%{http_code} %{num_connects}\n";
    struct site site;
    struct program p;
    serve_some_files(&site);
    CURL("-w", format, "-o", "/dev/null", site_url(&site, "/"), "-o", "/dev/null",
         site_url(&site, "/none"), "-o", "/dev/null", site_url(&site, "/big.bin"));
    assert_string_equal(p.out_text, "200 1\n404 0\n200 0\n");
    CURL("-w", format, "-H", "Connection: close", "-o", "/dev/null", site_url(&site, "/"), "-o",
         "/dev/null", site_url(&site, "/"));
    assert_string_equal(p.out_text, "200 1\n200 1\n");
    CURL("-i", "--http1.0", "-H", "Connection: keep-alive", site_url(&site, "/"));
    program_assert_contains(p.out_text, "Connection: keep-alive\r\n");
    site_stop(&site);
}

TEST(ranges)
{
    static const struct {
        const char *range, *answer;
    } cases[] = {
        {"0-0", "0"},
        {"2-4", "234"},
        {"7-", "789"},
        {"-3", "789"},
        {"-99", "0123456789"},
        {"0-99", "0123456789"},
        {"9-9", "9"},
        {"5-4", "0123456789"},
        {"x", "0123456789"},
        {"", "0123456789"},
        {"3-1,0-1", "0123456789"},
        {"0-9,0-9", "0123456789"},
        {"99-,1-2", "12"},
        {",,4-5,", "45"},
    };
    struct site site;
    struct program p;
    serve_some_files(&site);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char field[64];
        snprintf(field, sizeof field, "Range: bytes=%s", cases[i].range);
        CURL("-H", field, site_url(&site, "/a%20b/c.txt"));
        assert_string_equal(p.out_text, cases[i].answer);
    }
    CURL("-i", "-r", "2-4", site_url(&site, "/a%20b/c.txt"));
    program_assert_contains(p.out_text, "HTTP/1.1 206 Partial Content\r\n");
    program_assert_contains(p.out_text, "Content-Range: bytes 2-4/10\r\n");
    program_assert_contains(p.out_text, "Content-Length: 3\r\n");
    CURL("-i", "-r", "10-", site_url(&site, "/a%20b/c.txt"));
    program_assert_contains(p.out_text, "HTTP/1.1 416 Range Not Satisfiable\r\n");
    program_assert_contains(p.out_text, "Content-Range: bytes */10\r\n");
    CURL("-i", "-r", "0-", site_url(&site, "/empty.json"));
    program_assert_contains(p.out_text, "HTTP/1.1 416 ");
    CURL("-i", "-X", "HEAD", "-I", "-H", "Range: bytes=0-1", site_url(&site, "/a%20b/c.txt"));
    program_assert_contains(p.out_text, "HTTP/1.1 200 ");
    site_stop(&site);
}

TEST(several_ranges_in_parts)
{
    struct site site;
    struct program p;
    char part[512], boundary[64] = "";
    serve_some_files(&site);
    CURL("-i", "-r", "0-1,4-4,-2", site_url(&site, "/a%20b/c.txt"));
    const char *type = strstr(p.out_text, "multipart/byteranges; boundary=");
    assert_non_null(type);
    assert_int_equal(sscanf(type, "multipart/byteranges; boundary=%63[^\r]", boundary), 1);
    snprintf(part, sizeof part,
             "\r\n\r\n\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Range: bytes 0-1/10\r\n\r\n01"
             "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Range: bytes 4-4/10\r\n\r\n4"
             "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
             "Content-Range: bytes 8-9/10\r\n\r\n89\r\n--%s--\r\n",
             boundary, boundary, boundary, boundary);
    program_assert_contains(p.out_text, part);
    CURL("-w", "%{http_code} %{size_download} %{num_connects}\n", "-o", "/dev/null", "-r",
         "0-999999,2000000-2999999", site_url(&site, "/big.bin"), "--next", "-sS", "-w",
         "%{http_code} %{size_download} %{num_connects}\n", "-o", "/dev/null",
         site_url(&site, "/"));
    assert_true(strncmp(p.out_text, "206 2000", 8) == 0); /* its length was right: */
    program_assert_contains(p.out_text, "\n200 12 0\n");  /* the connection went on */
    site_stop(&site);
}

TEST(conditions)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    const char *tags = site_path("tags"), *file = site_url(&site, "/a%20b/c.txt");
    CURL("--etag-save", tags, file);
    assert_string_equal(CURL("-w", "%{http_code}", "--etag-compare", tags, file), "304");
    assert_string_equal(CURL("-w", "%{http_code}", "-z", "Sat, 01 Jan 2000 00:00:00 GMT", file),
                        "0123456789200");
    assert_string_equal(CURL("-w", "%{http_code}", "-z", "Fri, 01 Jan 2100 00:00:00 GMT", file),
                        "304");
    assert_string_equal(CURL("-w", "%{http_code}", "-H", "If-None-Match: \"x\", W/\"y\"", file),
                        "0123456789200");
    assert_string_equal(CURL("-w", "%{http_code}", "-H", "If-None-Match: *", file), "304");
    program_assert_contains(CURL("-i", "-H", "If-Match: \"x\"", file), "HTTP/1.1 412 ");
    program_assert_contains(
        CURL("-i", "-H", "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT", file),
        "HTTP/1.1 412 ");
    assert_string_equal(CURL("-H", "If-Match: *", file), "0123456789");
    assert_string_equal(CURL("-H", "If-Modified-Since: yesterday", file), "0123456789");
    assert_string_equal(CURL("-r", "1-2", "-H", "If-Range: \"x\"", file), "0123456789");

    char tag[100] = "", field[160];
    read_file(tags, tag, sizeof tag - 1);
    tag[strcspn(tag, "\r\n")] = 0;
    snprintf(field, sizeof field, "If-Range: %s", tag);
    assert_string_equal(CURL("-r", "1-2", "-H", field, file), "12");
    snprintf(field, sizeof field, "If-Match: \"x\", %s", tag);
    assert_string_equal(CURL("-H", field, file), "0123456789");
    snprintf(field, sizeof field, "If-None-Match: \"x\", W/%s", tag);
    assert_string_equal(CURL("-w", "%{http_code}", "-H", field, file), "304");
    site_stop(&site);
}

TEST(lists_directories_if_asked_to)
{
    struct site site;
    struct program p;
    site_write_text("d/b&\"<c", "");
    site_write_text("d/a:b", "x");
    site_write_text("d/.hidden", "");
    site_write_text("d/e/f.txt", "");
    assert_int_equal(symlink("/etc", site_path("out")), 0);
    site_serve(&site, ARGUMENTS("--list"));
    CURL("-i", site_url(&site, "/d/"));
    program_assert_contains(p.out_text, "HTTP/1.1 200 OK\r\n");
    program_assert_contains(p.out_text, "<ul>\n<li><a href=\"../\">../</a>\n"
                                        "<li><a href=\"./a%3Ab\">a:b</a>\n"
                                        "<li><a href=\"./b%26%22%3Cc\">b&amp;&quot;&lt;c</a>\n"
                                        "<li><a href=\"./e/\">e/</a>\n</ul>\n");
    CURL("-i", site_url(&site, "/"));
    program_assert_lacks(p.out_text, "href=\"../");
    program_assert_contains(p.out_text, "<a href=\"./d/\">d/</a>\n");
    program_assert_contains(CURL("-I", site_url(&site, "/d/")), "HTTP/1.1 200 OK\r\n");
    program_assert_contains(CURL("-i", site_url(&site, "/d")), "Location: /d/\r\n");
    program_assert_contains(CURL("-i", site_url(&site, "/none/")), "HTTP/1.1 404 ");
    program_assert_contains(CURL("-i", site_url(&site, "/d/a:b/")), "HTTP/1.1 404 ");
    program_assert_contains(CURL("-i", site_url(&site, "/out/")), "HTTP/1.1 404 ");
    program_run(&p, "link_check", ARGUMENTS(site.url));
    program_assert_contains(p.out_text, "broken: ");
    program_assert_contains(p.out_text, "/out: status 404\n");
    program_assert_contains(p.out_text, " links checked, 1 broken\n");
    site_stop(&site);
}

TEST(refusals)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    CURL("-i", site_url(&site, "/a%20b?x=1"));
    program_assert_contains(p.out_text, "HTTP/1.1 301 ");
    program_assert_contains(p.out_text, "Location: /a%20b/?x=1\r\n");
    CURL("-i", "-L", "--path-as-is", site_url(&site, "//a%20b"));
    program_assert_contains(p.out_text, "Location: /a%20b/\r\n");
    program_assert_contains(p.out_text, "<p>b</p>");
    program_assert_contains(CURL("-i", site_url(&site, "/none")), "HTTP/1.1 404 ");
    program_assert_contains(CURL("-i", site_url(&site, "/index.html/")), "HTTP/1.1 404 ");
    program_assert_contains(CURL("-i", site_url(&site, "/index.html/x")), "HTTP/1.1 404 ");
    program_assert_contains(CURL("-i", "-d", "x=y", site_url(&site, "/")),
                            "HTTP/1.1 405 Method Not Allowed\r\n");
    program_assert_contains(p.out_text, "Allow: GET, HEAD\r\n");
    program_assert_contains(CURL("-i", "-X", "BREW", site_url(&site, "/")), "HTTP/1.1 501 ");
    program_assert_contains(CURL("-i", "-X", "OPTIONS", "--request-target", "*", site.url),
                            "HTTP/1.1 405 ");
    CURL("-i", "-X", "PUT", "-T", site_path("big.bin"), "-H", "Expect:", site_url(&site, "/new"));
    program_assert_contains(p.out_text, "HTTP/1.1 405 ");
    site_stop(&site);
}

TEST(nothing_outside_of_the_directory)
{
    static const char *const outside[] = {"/../../../../etc/passwd",
                                          "/%2e%2e/%2e%2e/etc/passwd",
                                          "/..%2f..%2fetc/passwd",
                                          "/a%20b/../../x",
                                          "/etc-link",
                                          "/up/passwd",
                                          "/absolute",
                                          "/loop",
                                          "/pipe",
                                          "/a%20b/c.txt%00.html",
                                          "/.%2e/x",
                                          "/proc/self/root/etc/passwd"};
    struct site site;
    struct program p;
    serve_some_files(&site);
    assert_int_equal(symlink("/etc/passwd", site_path("etc-link")), 0);
    assert_int_equal(symlink("../../../../../etc", site_path("up")), 0);
    assert_int_equal(symlink(site_path("index.html"), site_path("absolute")), 0);
    assert_int_equal(symlink("loop", site_path("loop")), 0);
    assert_int_equal(symlink("/proc", site_path("proc")), 0);
    assert_int_equal(symlink("a b/c.txt", site_path("inside")), 0);
    assert_int_equal(mkfifo(site_path("pipe"), 0644), 0);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        CURL("--path-as-is", "-w", "%{http_code}", site_url(&site, outside[i]));
        if (!strstr(p.out_text, "404") && !strstr(p.out_text, "400"))
            fail_msg("%s: %s", outside[i], p.out_text);
        program_assert_lacks(p.out_text, "root:");
    }
    CURL("-w", "%{http_code}", site_url(&site, "/inside"));
    if (!strstr(p.out_text, "404")) /* where openat2() is lacking no link is followed */
        assert_string_equal(p.out_text, "0123456789200");
    site_stop(&site);
}

/* Until a change of the file is seen; it must be, within a second or so. */
static void expect_soon(const struct site *site, const char *path, const char *text)
{
    struct program p;
    for (int i = 0; i < 100; i++) {
        CURL("-w", "%{http_code}", site_url(site, path));
        if (strcmp(p.out_text, text) == 0)
            return;
        usleep(100000);
    }
    fail_msg("still %s, not %s", p.out_text, text);
}

TEST(notices_that_a_file_has_changed)
{
    struct site site;
    serve_some_files(&site);
    site_write_text("f.txt", "one");
    expect_soon(&site, "/f.txt", "one200");
    site_write_text("f.txt", "two"); /* in place, perhaps at the same time */
    expect_soon(&site, "/f.txt", "two200");
    assert_int_equal(rename(site_path("a b/c.txt"), site_path("f.txt")), 0);
    expect_soon(&site, "/f.txt", "0123456789200");
    assert_int_equal(truncate(site_path("f.txt"), 4), 0);
    expect_soon(&site, "/f.txt", "0123200");
    assert_int_equal(unlink(site_path("f.txt")), 0);
    expect_soon(&site, "/f.txt", "404 Not Found\n404");
    site_stop(&site);
}

TEST(writes_a_log)
{
    static char text[8192];
    struct site site;
    struct program p;
    site_write_text("index.html", "hello");
    char name[128];
    snprintf(name, sizeof name, "%s.log", site_root());
    site_serve(&site, ARGUMENTS("--log", name));
    CURL("-A", "me \"and\" you", "-e", "http://there/", site_url(&site, "/?\\x"),
         site_url(&site, "/none"));
    CURL("-I", site_url(&site, "/"));
    site_stop(&site);
    text[read_file(name, text, sizeof text - 1)] = 0;
    unlink(name);
    program_assert_contains(text, "127.0.0.1 - - [");
    program_assert_contains(text, "\"GET /none HTTP/1.1\" 404 14 \"http://there/\" "
                                  "\"me \\x22and\\x22 you\"\n");
    program_assert_contains(text, "\"HEAD / HTTP/1.1\" 200 0 \"-\" \"curl/");
    program_assert_contains(text, "\"\" 400 "); /* a backslash has no place in a request line */
}

TEST(wrk_finds_no_error)
{
    struct site site;
    struct program p;
    serve_some_files(&site);
    program_run_client(&p, "wrk",
                       ARGUMENTS("-t1", "-c50", "-d1s", site_url(&site, "/a%20b/c.txt")));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "requests in");
    program_assert_lacks(p.out_text, "Non-2xx");
    program_assert_lacks(p.out_text, "Socket errors");
    program_run_client(&p, "wrk", ARGUMENTS("-t1", "-c10", "-d1s", site_url(&site, "/big.bin")));
    program_assert_lacks(p.out_text, "Non-2xx");
    program_assert_lacks(p.out_text, "Socket errors");
    site_stop(&site);
}

TEST(options)
{
    static const char *const bad[][2] = {
        {"--connections", "0"}, {"--connections", "-1"},
        {"--connections", "x"}, {"--idle-timeout", "0"},
        {"--head-timeout", ""}, {"--send-timeout", "nan"},
        {"--grace", "-1"},      {"--nonsense", "1"},
        {"/nonexistent", NULL}, {"/tmp", "/tmp"},
        {NULL, NULL},           {"--log", "/nonexistent/log"},
    };
    struct program p;
    program_run(&p, "http_files", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "usage: http_files");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bool last = bad[i][0] && bad[i][0][0] == '-';
        program_run(&p, "http_files", ARGUMENTS(bad[i][0], bad[i][1], last ? "/tmp" : NULL));
        assert_int_equal(p.exit_code, 2);
        assert_string_equal(p.out_text, "");
        program_assert_contains(p.err_text, "http_files");
    }
    program_run(&p, "http_files", ARGUMENTS("--port", "x", "/tmp"));
    assert_int_equal(p.exit_code, 1);
    program_assert_contains(p.err_text, "cannot listen");
}
