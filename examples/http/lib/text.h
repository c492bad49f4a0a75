/* Pieces of texts that lie elsewhere: they are not ended by a NUL. */
#ifndef HTTP_TEXT_H
#define HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct http_text {
    const char *at; /* NULL: there is none, which is not the same as an empty one */
    size_t size;
};

static inline struct http_text http_text(const char *string)
{
    return (struct http_text){string, strlen(string)};
}

static inline bool http_is(struct http_text text, const char *string)
{
    return text.size == strlen(string) && memcmp(text.at, string, text.size) == 0;
}

/* The same whatever the case of the letters. */
static inline bool http_is_word(struct http_text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.at, word, text.size) == 0;
}

/* Without spaces and tabs at both ends. */
struct http_text http_trim(struct http_text text);

/*
 * The next element of a comma-separated list, which is taken from *list: false at its end. Commas
 * between double quotes belong to the element; empty elements are left out.
 */
bool http_next_element(struct http_text *list, struct http_text *element);

/* A number of digits and nothing else, at least one. False if it is none or too large. */
bool http_number(struct http_text text, uint64_t *number);

/* A hexadecimal digit's value, or -1. */
int http_hex_digit(char c);

#endif
