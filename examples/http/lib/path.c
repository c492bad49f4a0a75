/* Paths. */
#include "path.h"

/* One character of the path, decoded; -1 for a broken %XX. */
static int next_character(struct http_text *path)
{
    int c = (unsigned char)*path->at, length = 1;
    if (c == '%') {
        int high = path->size > 2 ? http_hex_digit(path->at[1]) : -1;
        int low = path->size > 2 ? http_hex_digit(path->at[2]) : -1;
        if (high < 0 || low < 0)
            return -1;
        c = high * 16 + low;
        length = 3;
    }
    path->at += length;
    path->size -= (size_t)length;
    return c;
}

/*
 * A segment has ended at `end`; it began at `begin`. Empty ones and "." are taken out, ".." takes
 * the one before it with it. Returns where the next one begins, or -1 above the root.
 */
static ssize_t end_segment(const char *decoded, size_t begin, size_t end)
{
    size_t size = end - begin;
    const char *segment = decoded + begin;
    if (size == 0 || (size == 1 && segment[0] == '.'))
        return (ssize_t)begin;
    if (size != 2 || segment[0] != '.' || segment[1] != '.')
        return (ssize_t)end;
    if (begin == 0)
        return -1;
    begin--; /* the '/' of the one before */
    while (begin > 0 && decoded[begin - 1] != '/')
        begin--;
    return (ssize_t)begin;
}

ssize_t http_decode_path(struct http_text path, char *decoded, size_t room)
{
    size_t begin = 0, end = 0; /* of the segment that is being read */
    for (bool more = true; more;) {
        more = path.size > 0;
        int c = more ? next_character(&path) : '/';
        if (c <= 0)
            return -400;
        if (end + 2 > room)
            return -414;
        if (c != '/') {
            decoded[end++] = (char)c;
            continue;
        }
        ssize_t next = end_segment(decoded, begin, end);
        if (next < 0)
            return -400;
        bool is_name = (size_t)next == end && end > begin;
        end = (size_t)next;
        if (is_name && more)
            decoded[end++] = '/';
        begin = end;
    }
    decoded[end] = 0;
    return (ssize_t)end;
}

ssize_t http_encode_path(const char *name, char *encoded, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-._~/", c));
        if (n + 4 > room)
            return -414;
        if (plain) {
            encoded[n++] = (char)c;
        } else {
            encoded[n++] = '%';
            encoded[n++] = digits[c >> 4];
            encoded[n++] = digits[c & 15];
        }
    }
    encoded[n] = 0;
    return (ssize_t)n;
}
