/* Conditions and ranges. */
#include "select.h"

#include "date.h"

/* Whether a list of entity tags has the file's. */
static bool has_tag(struct http_text list, const struct http_file *file, bool weak_too)
{
    struct http_text tag;
    if (http_is(list, "*"))
        return true;
    while (http_next_element(&list, &tag)) {
        if (weak_too && tag.size > 2 && memcmp(tag.at, "W/", 2) == 0)
            tag = (struct http_text){tag.at + 2, tag.size - 2};
        if (http_is(tag, file->etag))
            return true;
    }
    return false;
}

/* A date that cannot be read is none: then the condition is not there. */
static bool unmodified_since(struct http_text text, const struct http_file *file, bool otherwise)
{
    time_t date;
    return http_parse_date(text, &date) ? file->is.st_mtim.tv_sec <= date : otherwise;
}

/* 412, 304, or 200: there is nothing against it. */
static int check_conditions(const struct http_request *request, const struct http_file *file)
{
    if (request->if_match.at) {
        if (!has_tag(request->if_match, file, false))
            return 412;
    } else if (request->if_unmodified_since.at &&
               !unmodified_since(request->if_unmodified_since, file, true)) {
        return 412;
    }
    if (request->if_none_match.at)
        return has_tag(request->if_none_match, file, true) ? 304 : 200;
    if (request->if_modified_since.at && unmodified_since(request->if_modified_since, file, false))
        return 304;
    return 200;
}

/* A range is wanted of the file that the client knows, and of no other. */
static bool is_known_one(struct http_text if_range, const struct http_file *file)
{
    time_t date;
    if (if_range.size && if_range.at[0] == '"')
        return http_is(if_range, file->etag);
    return http_parse_date(if_range, &date) && date == file->is.st_mtim.tv_sec;
}

/* "0-499", "500-" or "-500". False: it is none. A range of size 0 has nothing of the file. */
static bool parse_range(struct http_text text, uint64_t size, struct http_range *range)
{
    const char *dash = memchr(text.at, '-', text.size);
    uint64_t first, last = UINT64_MAX;
    if (!dash)
        return false;
    struct http_text before = {text.at, (size_t)(dash - text.at)};
    struct http_text after = {dash + 1, text.size - before.size - 1};
    if (after.size ? !http_number(after, &last) : !before.size)
        return false;
    if (before.size == 0) {
        range->size = last < size ? last : size;
        range->begin = size - range->size;
        return true;
    }
    if (!http_number(before, &first) || last < first)
        return false;
    range->begin = first;
    range->size = first >= size ? 0 : (last < size ? last : size - 1) - first + 1;
    return true;
}

/* Many that overlap are a way to ask for more than there is. */
static bool add_up_to_more(const struct http_selection *selection, uint64_t size)
{
    uint64_t sum = 0;
    for (int i = 0; i < selection->n_ranges; i++)
        sum += selection->ranges[i].size;
    return sum > size;
}

static int select_ranges(struct http_selection *selection, struct http_text list, uint64_t size)
{
    struct http_text element;
    struct http_range range;
    bool any = false;
    if (list.size < 6 || strncasecmp(list.at, "bytes=", 6) != 0)
        return 200;
    list = (struct http_text){list.at + 6, list.size - 6};
    while (http_next_element(&list, &element)) {
        if (!parse_range(element, size, &range))
            return 200;
        any = true;
        if (range.size == 0)
            continue;
        if (selection->n_ranges == HTTP_RANGES_MOST)
            return 200;
        selection->ranges[selection->n_ranges++] = range;
    }
    if (!any || add_up_to_more(selection, size))
        return 200;
    return selection->n_ranges ? 206 : 416;
}

void http_select(struct http_selection *selection, const struct http_request *request,
                 const struct http_file *file)
{
    selection->n_ranges = 0;
    selection->status = check_conditions(request, file);
    if (selection->status != 200 || !request->range.at || request->method != HTTP_GET)
        return;
    if (request->if_range.at && !is_known_one(request->if_range, file))
        return;
    selection->status = select_ranges(selection, request->range, (uint64_t)file->is.st_size);
    if (selection->status != 206)
        selection->n_ranges = 0;
}
