/*
 * Heads of HTTP/1.1 messages (RFC 9112), read strictly: what two readers could understand
 * differently is refused, because behind a proxy such a difference is how requests are smuggled.
 * That is: lines that do not end with CR LF, folded lines, spaces around a name, more than one
 * Content-Length or Host, Content-Length beside Transfer-Encoding, and bytes that have no place.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <sys/types.h>

#include "text.h"

enum {
    HTTP_HEAD_MOST = 8192, /* bytes of a head */
    HTTP_FIELDS_MOST = 100,
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER, HTTP_UNKNOWN };

/* How the end of a message's body is found. */
enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

struct http_body {
    enum http_framing framing;
    uint64_t length; /* HTTP_LENGTH */
};

struct http_request {
    struct http_text method_name;
    struct http_text target; /* as it was sent */
    struct http_text path;   /* of it, still encoded: "/a%20b"; "*" for the server as a whole */
    struct http_text query;  /* without its '?' */
    struct http_text host;
    struct http_text range, if_range;
    struct http_text if_match, if_none_match;
    struct http_text if_modified_since, if_unmodified_since;
    struct http_text user_agent, referer;
    struct http_body body;
    enum http_method method;
    int minor;       /* of the version: 0 for HTTP/1.0, 1 for all later ones */
    bool keep_alive; /* the client wants to send more on this connection */
};

struct http_response {
    int status;
    int minor;
    struct http_text reason, content_type, location;
    struct http_body body; /* of a GET: the answer to a HEAD has none, whatever it says */
    bool keep_alive;
};

/*
 * Reads a head at the beginning of data. Returns how many bytes it has; 0 if its end has not come
 * yet; or -N, where N is the status of the answer that is due: 400, 414, 431, 501, 505. The texts
 * in it lie in data. It reads from the beginning each time.
 */
ssize_t http_parse_request(struct http_request *request, const char *data, size_t size);

/* The same for a response. Any negative value: it is none. */
ssize_t http_parse_response(struct http_response *response, const char *data, size_t size);

/*
 * The size of the next chunk of a chunked body, from the line at the beginning of data. Returns how
 * many bytes the line has, 0 if its end has not come yet, or -400.
 */
ssize_t http_parse_chunk_line(uint64_t *chunk, const char *data, size_t size);

/* The empty line, and trailer fields before it, that end a chunked body. As above. */
ssize_t http_parse_trailer(const char *data, size_t size);

#endif
