/* Links in pages: a reader of tags, no more. */
#include "html.h"

#include <ctype.h>
#include <stdlib.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void skip(struct http_text *rest, size_t n)
{
    n = n < rest->size ? n : rest->size;
    rest->at += n;
    rest->size -= n;
}

static void skip_spaces(struct http_text *rest)
{
    while (rest->size && is_space(rest->at[0]))
        skip(rest, 1);
}

static bool at(const struct http_text *rest, const char *word)
{
    return rest->size >= strlen(word) && strncasecmp(rest->at, word, strlen(word)) == 0;
}

/* Moves behind the next place of a word, or to the end. */
static void skip_behind(struct http_text *rest, const char *word)
{
    while (rest->size && !at(rest, word))
        skip(rest, 1);
    skip(rest, strlen(word));
}

/* Text up to one of these characters. */
static struct http_text take_until(struct http_text *rest, const char *ends)
{
    struct http_text text = {rest->at, 0};
    while (rest->size && !(rest->at[0] && strchr(ends, rest->at[0])))
        skip(rest, 1);
    text.size = (size_t)(rest->at - text.at);
    return text;
}

/* The next attribute of a tag; false at the tag's end, which is then behind. */
static bool next_attribute(struct http_text *rest, struct http_text *name, struct http_text *value)
{
    skip_spaces(rest);
    while (at(rest, "/"))
        skip(rest, 1), skip_spaces(rest);
    if (!rest->size || rest->at[0] == '>') {
        skip(rest, 1);
        return false;
    }
    *name = take_until(rest, "=> \t\r\n\f/");
    *value = (struct http_text){NULL, 0};
    skip_spaces(rest);
    if (!at(rest, "=")) {
        if (name->size == 0)
            skip(rest, 1);
        return true;
    }
    skip(rest, 1);
    skip_spaces(rest);
    if (at(rest, "\"") || at(rest, "'")) {
        char quote[2] = {rest->at[0]};
        skip(rest, 1);
        *value = take_until(rest, quote);
        skip(rest, 1);
    } else {
        *value = take_until(rest, "> \t\r\n\f");
    }
    return true;
}

/* One character of a value: "&amp;", "&#38;", "&#x26;" or itself. 0 for one that is not ASCII. */
static char decode(struct http_text *value)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (at(value, names[i].name)) {
            skip(value, strlen(names[i].name));
            return names[i].c;
        }
    char digits[12] = "", c = value->at[0];
    size_t n = 2;
    if (at(value, "&#")) {
        while (n < value->size && n < sizeof digits && value->at[n] != ';')
            digits[n - 2] = value->at[n], n++;
        bool hex = digits[0] == 'x' || digits[0] == 'X';
        unsigned long number = strtoul(digits + hex, NULL, hex ? 16 : 10);
        skip(value, n + 1);
        return number < 128 ? (char)number : 0;
    }
    skip(value, 1);
    return c;
}

static long copy_decoded(struct http_text value, char *link, size_t room)
{
    size_t n = 0;
    while (value.size) {
        char c = decode(&value);
        if (n + 1 >= room)
            return -1;
        if (c)
            link[n++] = c;
    }
    link[n] = 0;
    return (long)n;
}

/* Goes into the next tag that has attributes. False: there is none. */
static bool enter_tag(struct http_page *page)
{
    struct http_text *rest = &page->rest;
    for (;;) {
        take_until(rest, "<");
        if (!rest->size)
            return false;
        if (at(rest, "<!--")) {
            skip_behind(rest, "-->");
            continue;
        }
        skip(rest, 1);
        if (!rest->size || !isalpha((unsigned char)rest->at[0]))
            continue; /* an end, a declaration, or a sign in the text */
        struct http_text name = take_until(rest, " \t\r\n\f/>");
        bool raw = http_is_word(name, "script") || http_is_word(name, "style");
        page->raw = raw ? name : (struct http_text){NULL, 0};
        page->in_tag = true;
        return true;
    }
}

static void leave_tag(struct http_page *page)
{
    page->in_tag = false;
    if (http_is_word(page->raw, "script"))
        skip_behind(&page->rest, "</script");
    else if (http_is_word(page->raw, "style"))
        skip_behind(&page->rest, "</style");
}

long http_next_link(struct http_page *page, char *link, size_t room)
{
    struct http_text name, value;
    while (page->in_tag || enter_tag(page)) {
        while (next_attribute(&page->rest, &name, &value)) {
            bool leads = http_is_word(name, "href") || http_is_word(name, "src");
            long n = leads && value.at ? copy_decoded(value, link, room) : -1;
            if (n >= 0)
                return n;
        }
        leave_tag(page);
    }
    return -1;
}
