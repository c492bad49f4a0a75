/* URLs. */
#include "url.h"

#include <ctype.h>
#include <stdio.h>

static bool is_scheme(struct http_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!isalpha((unsigned char)text.at[i]) &&
            (i == 0 || (!isdigit((unsigned char)text.at[i]) && !strchr("+-.", text.at[i]))))
            return false;
    return text.size > 0;
}

/* Takes n characters off the front. */
static struct http_text take(struct http_text *text, size_t n)
{
    struct http_text front = {text->at, n};
    text->at += n;
    text->size -= n;
    return front;
}

static size_t until(struct http_text text, const char *ends)
{
    size_t n = 0;
    while (n < text.size && !(text.at[n] && strchr(ends, text.at[n])))
        n++;
    return n;
}

/* Hosts are letters, digits, '-', '.', '_', and ':' in brackets. */
static bool set_host(struct http_url *url, struct http_text host)
{
    bool six = host.size > 2 && host.at[0] == '[' && host.at[host.size - 1] == ']';
    if (six)
        host = (struct http_text){host.at + 1, host.size - 2};
    if (host.size == 0 || host.size >= sizeof url->host)
        return false;
    for (size_t i = 0; i < host.size; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (!isalnum(c) && c != '.' && (six ? c != ':' && c != '%' : c != '-' && c != '_'))
            return false;
        url->host[i] = (char)tolower(c);
    }
    url->host[host.size] = 0;
    return true;
}

static bool set_authority(struct http_url *url, struct http_text authority)
{
    const char *usual = url->tls ? "443" : "80";
    size_t end = authority.size && authority.at[0] == '[' ? until(authority, "]") + 1
                                                          : until(authority, ":");
    uint64_t port;
    if (end > authority.size || !set_host(url, take(&authority, end)))
        return false;
    strcpy(url->port, usual);
    if (authority.size > 1) {
        take(&authority, 1);
        if (!http_number(authority, &port) || port > 65535)
            return false;
        snprintf(url->port, sizeof url->port, "%u", (unsigned)port);
    }
    bool six = strchr(url->host, ':'), other = strcmp(url->port, usual) != 0;
    snprintf(url->authority, sizeof url->authority, "%s%s%s%s%s", six ? "[" : "", url->host,
             six ? "]" : "", other ? ":" : "", other ? url->port : "");
    return true;
}

/* Takes "." and ".." out of the path before the query. They are whole segments. */
static void remove_dots(char *path)
{
    size_t end = strcspn(path, "?"), to = 0;
    for (size_t from = 0; from < end;) {
        size_t size = 1 + strcspn(path + from + 1, "/?"); /* a '/' and what follows it */
        bool last = from + size >= end;
        const char *name = path + from + 1;
        bool dot = size == 2 && name[0] == '.';
        bool up = size == 3 && name[0] == '.' && name[1] == '.';
        if (up)
            while (to > 0 && path[--to] != '/')
                continue;
        if (!dot && !up)
            memmove(path + to, path + from, size);
        to += !dot && !up ? size : 0;
        from += size;
        if (last && (dot || up))
            path[to++] = '/';
    }
    memmove(path + to, path + end, strlen(path + end) + 1);
}

/* What a URL cannot have is encoded, as browsers do. */
static bool append(char *path, struct http_text text)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '\t' || c == '\n' || c == '\r')
            continue; /* browsers leave them out */
        if (n + 4 > HTTP_URL_MOST)
            return false;
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{}", c))
            n += (size_t)sprintf(path + n, "%%%02X", c);
        else
            path[n++] = (char)c;
    }
    path[n] = 0;
    return true;
}

static bool set_path(struct http_url *url, const struct http_url *page, struct http_text reference)
{
    url->path[0] = 0;
    if (reference.size && reference.at[0] != '/' && page) {
        size_t keep = strcspn(page->path, "?");
        if (reference.at[0] != '?')
            while (keep > 0 && page->path[keep - 1] != '/')
                keep--;
        memcpy(url->path, page->path, keep);
        url->path[keep] = 0;
    } else if (!reference.size || reference.at[0] != '/') {
        strcpy(url->path, "/");
    }
    if (!append(url->path, reference))
        return false;
    remove_dots(url->path);
    return true;
}

int http_url_resolve(struct http_url *url, const struct http_url *page, struct http_text reference)
{
    reference = http_trim(reference);
    reference.size = until(reference, "#");
    if (reference.size == 0)
        return page ? 1 : -1;
    size_t colon = until(reference, ":/?");
    bool absolute = colon < reference.size && reference.at[colon] == ':' &&
                    is_scheme((struct http_text){reference.at, colon});
    if (!absolute && !page)
        return -1;
    url->tls = page && page->tls;
    if (absolute) {
        struct http_text scheme = take(&reference, colon);
        take(&reference, 1);
        url->tls = http_is_word(scheme, "https");
        if (!url->tls && !http_is_word(scheme, "http"))
            return 1;
    }
    if (reference.size >= 2 && memcmp(reference.at, "//", 2) == 0) {
        take(&reference, 2);
        if (!set_authority(url, take(&reference, until(reference, "/?"))))
            return -1;
        page = NULL;
    } else if (absolute) {
        return -1;
    } else {
        memcpy(url->host, page->host, sizeof url->host);
        memcpy(url->port, page->port, sizeof url->port);
        memcpy(url->authority, page->authority, sizeof url->authority);
    }
    return set_path(url, page, reference) ? 0 : -1;
}

bool http_url_print(const struct http_url *url, char *text, size_t room)
{
    int n = snprintf(text, room, "http%s://%s%s", url->tls ? "s" : "", url->authority, url->path);
    return n > 0 && (size_t)n < room;
}
