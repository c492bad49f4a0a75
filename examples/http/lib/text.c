/* Pieces of texts. */
#include "text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct http_text http_trim(struct http_text text)
{
    while (text.size && is_blank(text.at[0])) {
        text.at++;
        text.size--;
    }
    while (text.size && is_blank(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* How many characters there are before the next comma that is not quoted. */
static size_t before_comma(struct http_text list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list.size && (quoted || list.at[i] != ','); i++) {
        if (list.at[i] == '"')
            quoted = !quoted;
    }
    return i;
}

bool http_next_element(struct http_text *list, struct http_text *element)
{
    while (list->size) {
        size_t n = before_comma(*list);
        *element = http_trim((struct http_text){list->at, n});
        n += n < list->size; /* the comma */
        list->at += n;
        list->size -= n;
        if (element->size)
            return true;
    }
    return false;
}

bool http_number(struct http_text text, uint64_t *number)
{
    uint64_t n = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned char)text.at[i] - (unsigned)'0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *number = n;
    return true;
}

int http_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
