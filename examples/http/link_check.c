/*
 * link_check: follows the links of a site and reports those that lead nowhere.
 *
 *     link_check http://localhost:8080/
 *     link_check --external --concurrency 30 https://example.org/
 *
 * So many tasks take pages from one queue; what a page links to goes into the queue unless it has
 * been there. Pages of the same host are read; those of others are only asked for, by HEAD, and
 * only if that is wanted. The exit code is 1 if a link is broken.
 *
 * lib/fetch.c is the client, lib/html.c finds links, lib/url.c resolves them.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fetch.h"
#include "lib/html.h"

enum { BUCKETS = 4096, REFERRERS_MOST = 3 };

/* A URL that somebody links to. */
struct page {
    struct page *next;           /* in the order in which they were found */
    struct page *next_in_bucket; /* and by their URL's hash */
    struct page *from[REFERRERS_MOST];
    size_t n_from;
    long depth; /* links from the first page */
    bool external;
    bool checked;
    int rc;
    int status;
    char *why;
    char url[];
};

struct check {
    const char *start;
    size_t concurrency, pages_most, bytes_most;
    long depth_most;
    double timeout_s;
    bool external, quiet;
    struct http_url site;
    cio_tls_options trust; /* if it is not the usual one */
    cio_tls_context *tls;
    cio_queue todo;
    struct page *first, **end;
    struct page *buckets[BUCKETS];
    size_t n_pages, n_checked, n_broken, n_left_out;
    double told_s;
};

/* ---- what has been found ---- */

static struct page **place_of(struct check *check, const char *url)
{
    uint32_t hash = 2166136261U;
    for (const char *c = url; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    struct page **place = &check->buckets[hash % BUCKETS];
    while (*place && strcmp((*place)->url, url) != 0)
        place = &(*place)->next_in_bucket;
    return place;
}

static void note_referrer(struct page *page, struct page *from)
{
    if (!from)
        return;
    if (page->n_from < REFERRERS_MOST)
        page->from[page->n_from] = from;
    page->n_from++;
}

/*
 * What is known of a URL; new if it was not yet. NULL: there are too many already, or there is no
 * memory.
 */
static struct page *get_page(struct check *check, const char *url, struct page *from)
{
    struct page **place = place_of(check, url), *page = *place;
    if (page) {
        note_referrer(page, from);
        return page;
    }
    if (check->n_pages == check->pages_most) {
        check->n_left_out++;
        return NULL;
    }
    page = calloc(1, sizeof *page + strlen(url) + 1);
    if (!page)
        return NULL;
    strcpy(page->url, url);
    note_referrer(page, from);
    *place = page;
    *check->end = page;
    check->end = &page->next;
    check->n_pages++;
    return page;
}

/* A link leads here. Nothing happens if it has been seen, or is none of our business. */
static int add(struct check *check, const struct http_url *url, struct page *from, long depth)
{
    char text[HTTP_URL_MOST + 300];
    bool external = strcmp(url->authority, check->site.authority) != 0;
    if ((external && !check->external) || depth > check->depth_most ||
        !http_url_print(url, text, sizeof text))
        return 0;
    size_t before = check->n_pages;
    struct page *page = get_page(check, text, from);
    if (check->n_pages == before)
        return 0;
    page->depth = depth;
    page->external = external;
    return cio_queue_put_nowait(&check->todo, &page);
}

/* A link that cannot be read is broken too, and never asked for. */
static void add_broken(struct check *check, const char *link, struct page *from)
{
    size_t before = check->n_pages;
    struct page *page = get_page(check, link, from);
    if (check->n_pages == before)
        return;
    page->checked = true;
    page->rc = -EINVAL;
    check->n_checked++;
    check->n_broken++;
}

/* ---- visits ---- */

static int add_link(struct check *check, const struct http_url *base, const char *link,
                    struct page *from, long depth)
{
    struct http_url url;
    int rc = http_url_resolve(&url, base, http_text(link));
    if (rc < 0)
        add_broken(check, link, from);
    return rc == 0 ? add(check, &url, from, depth) : 0;
}

static int add_links(struct check *check, struct page *page, const struct http_fetch *fetch)
{
    struct http_page html = {.rest = {fetch->body, fetch->size}};
    char link[HTTP_URL_MOST];
    int rc = 0;
    while (rc == 0 && http_next_link(&html, link, sizeof link) >= 0)
        rc = add_link(check, fetch->url, link, page, page->depth + 1);
    return rc;
}

static int fetch_within(struct http_fetch *fetch, double seconds)
{
    cio_timeout scope;
    int rc = cio_timeout_enter(&scope, seconds);
    return rc < 0 ? rc : cio_timeout_exit(&scope, http_fetch(fetch));
}

static bool is_broken(const struct page *page)
{
    return page->checked && (page->rc < 0 || page->status >= 400);
}

static bool is_redirection(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Returns 0 whatever became of the page; or why it cannot go on. */
static int visit(struct check *check, struct page *page, char *body)
{
    struct http_url url;
    http_url_resolve(&url, NULL, http_text(page->url));
    struct http_fetch fetch = {.url = &url,
                               .head_only = page->external,
                               .tls = check->tls,
                               .body = body,
                               .room = check->bytes_most};
    page->rc = fetch_within(&fetch, check->timeout_s);
    if (page->rc == 0 && page->external && (fetch.status == 405 || fetch.status == 501)) {
        fetch.head_only = false; /* it does not know HEAD */
        fetch.body = NULL;
        page->rc = fetch_within(&fetch, check->timeout_s);
    }
    if (page->rc == CIO_ECANCELED)
        return page->rc;
    page->checked = true;
    page->status = fetch.status;
    page->why = fetch.why[0] ? strdup(fetch.why) : NULL;
    check->n_checked++;
    check->n_broken += is_broken(page);
    if (page->rc < 0)
        return 0;
    if (is_redirection(fetch.status) && fetch.location[0]) /* one more link, at the same depth */
        return add_link(check, &url, fetch.location, page, page->depth);
    return page->external ? 0 : add_links(check, page, &fetch);
}

static void show_progress(struct check *check)
{
    double now_s = cio_time(cio_get_running_loop());
    if (check->quiet || !isatty(STDERR_FILENO) || now_s < check->told_s + 0.1)
        return;
    check->told_s = now_s;
    fprintf(stderr, "\r\033[K%zu of %zu links checked, %zu broken", check->n_checked,
            check->n_pages, check->n_broken);
}

static int work(void *arg)
{
    struct check *check = arg;
    struct page *page;
    int rc = 0;
    char *body = malloc(check->bytes_most);
    if (!body)
        return -ENOMEM;
    while (rc == 0 && (rc = cio_queue_get(&check->todo, &page)) == 0) {
        rc = visit(check, page, body);
        cio_queue_task_done(&check->todo);
        show_progress(check);
    }
    free(body);
    return rc == CIO_ESHUTDOWN ? 0 : rc;
}

static int check_main(void *arg)
{
    struct check *check = arg;
    cio_group workers;
    int rc = add(check, &check->site, NULL, 0);
    if (rc < 0)
        return rc;
    cio_group_enter(&workers);
    for (size_t i = 0; i < check->concurrency; i++)
        cio_group_start(&workers, work, check);
    rc = cio_queue_join(&check->todo);
    cio_queue_shutdown(&check->todo, true);
    return cio_group_exit(&workers, rc);
}

/* ---- the report ---- */

static void report_page(const struct page *page)
{
    if (page->rc < 0)
        printf("broken: %s: %s\n", page->url,
               page->why             ? page->why
               : page->rc == -EPROTO ? "no HTTP"
               : page->rc == -EINVAL ? "not a URL"
                                     : cio_strerror(page->rc));
    else
        printf("broken: %s: status %d\n", page->url, page->status);
    for (size_t i = 0; i < page->n_from && i < REFERRERS_MOST; i++)
        printf("    linked from %s\n", page->from[i]->url);
    if (page->n_from > REFERRERS_MOST)
        printf("    and from %zu more\n", page->n_from - REFERRERS_MOST);
}

static void report(struct check *check)
{
    if (!check->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    for (const struct page *page = check->first; page; page = page->next)
        if (is_broken(page))
            report_page(page);
    printf("%zu links checked, %zu broken\n", check->n_checked, check->n_broken);
    if (check->n_left_out)
        printf("%zu links were left out (--max-links %zu)\n", check->n_left_out, check->pages_most);
}

static void free_pages(struct check *check)
{
    for (struct page *page = check->first, *next; page; page = next) {
        next = page->next;
        free(page->why);
        free(page);
    }
}

/* ---- options ---- */

static const char usage_text[] =
    "usage: link_check [OPTIONS] URL\n"
    "Follows the links of a site and reports those that are broken.\n"
    "\n"
    "  --concurrency N   requests at a time (10)\n"
    "  --depth N         follow links so many steps from the first page (100)\n"
    "  --external        ask for what other hosts have too, but do not read it\n"
    "  --timeout S       seconds for each request (10)\n"
    "  --max-links N     look at so many links at most (10000)\n"
    "  --max-bytes N     and read so many bytes of a page (1000000)\n"
    "  --cacert FILE     trust the authorities in this file (PEM) and no others\n"
    "  --insecure        take any certificate: who is in the way can say what he likes\n"
    "  --quiet           no progress\n"
    "  --help            this text\n"
    "\n"
    "Exit code: 0 if none is broken, 1 if some are, 2 for bad options, 3 if it could not go on.\n";

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "link_check: %s: \"%s\" (see --help)\n", what, value);
    exit(2);
}

static long parse_number(const char *what, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < least || n > most)
        refuse(what, text);
    return n;
}

static double parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0))
        refuse("bad timeout", text);
    return seconds;
}

static void parse_options(struct check *check, int argc, char **argv)
{
    static const struct option names[] = {{"concurrency", required_argument, NULL, 'c'},
                                          {"depth", required_argument, NULL, 'd'},
                                          {"external", no_argument, NULL, 'e'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"max-links", required_argument, NULL, 'l'},
                                          {"max-bytes", required_argument, NULL, 'b'},
                                          {"cacert", required_argument, NULL, 'a'},
                                          {"insecure", no_argument, NULL, 'i'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (c) {
        case 'c':
            check->concurrency = (size_t)parse_number("bad concurrency", optarg, 1, 1000);
            break;
        case 'd': check->depth_most = parse_number("bad depth", optarg, 0, 1000000); break;
        case 'e': check->external = true; break;
        case 't': check->timeout_s = parse_seconds(optarg); break;
        case 'l':
            check->pages_most = (size_t)parse_number("bad number of links", optarg, 1, 10000000);
            break;
        case 'b':
            check->bytes_most = (size_t)parse_number("bad number of bytes", optarg, 1, 1 << 30);
            break;
        case 'a': check->trust.ca_file = optarg; break;
        case 'i': check->trust.verify = CIO_TLS_VERIFY_NONE; break;
        case 'q': check->quiet = true; break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("link_check: --help lists the options\n", stderr); exit(2);
        }
    }
    if (argc - optind != 1) {
        fputs(usage_text, stderr);
        exit(2);
    }
    check->start = argv[optind];
    if (http_url_resolve(&check->site, NULL, http_text(check->start)) != 0)
        refuse("not a URL of HTTP", check->start);
}

/* The system's authorities, unless something else is wanted. */
static void make_trust(struct check *check)
{
    check->tls = CIO_TLS_CLIENT;
    if (!check->trust.ca_file && check->trust.verify == CIO_TLS_VERIFY_USUAL)
        return;
    int rc = cio_tls_client_context(&check->tls, &check->trust);
    if (rc == CIO_ETLS)
        refuse(cio_tls_why(NULL), check->trust.ca_file ? check->trust.ca_file : "");
    if (rc < 0)
        refuse(cio_strerror(rc), "TLS");
}

int main(int argc, char **argv)
{
    static struct check check = {.concurrency = 10,
                                 .pages_most = 10000,
                                 .bytes_most = 1000000,
                                 .depth_most = 100,
                                 .timeout_s = 10};
    check.end = &check.first;
    parse_options(&check, argc, argv);
    make_trust(&check);
    int rc = cio_queue_init(&check.todo, CIO_UNBOUNDED, sizeof(struct page *));
    if (rc == 0)
        rc = cio_run(check_main, &check);
    cio_queue_destroy(&check.todo);
    report(&check);
    free_pages(&check);
    cio_tls_context_free(check.tls);
    if (rc == -EINTR)
        return 130;
    if (rc < 0)
        fprintf(stderr, "link_check: %s\n", cio_strerror(rc));
    return rc < 0 ? 3 : check.n_broken > 0;
}
