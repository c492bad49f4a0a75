/*
 * Servers: sockets that listen, and what becomes of the connections (asyncio's start_server,
 * create_server and their Server).
 *
 *     static int greet(cio_stream *s, void *arg)
 *     {
 *         return cio_printf(s, "hello\n");
 *     }
 *
 *     static int serve(void *arg)
 *     {
 *         cio_server *server;
 *         int rc = cio_start_server(&server, greet, NULL, "127.0.0.1", "7777", NULL);
 *         if (rc < 0)
 *             return rc;
 *         rc = cio_server_serve_forever(server);
 *         cio_server_free(server);
 *         return rc;
 *     }
 *
 * A server has no more than max_connections at once; more wait in the kernel's queue. Out of
 * descriptors or memory it says so to the exception handler, and accepts again a second later.
 *
 * Servers are used in their loop's thread. Common errors: -EINVAL for NULLs, CIO_EWRONGLOOP for
 * another loop's.
 */
#ifndef CIO_SERVER_H
#define CIO_SERVER_H

#include <cio/export.h>
#include <cio/stream.h>
#include <cio/transport.h>

CIO_BEGIN

typedef struct cio_server cio_server;

#define CIO_CONNECTIONS_MAX ((size_t)10000) /* what max_connections 0 means */

typedef struct cio_server_options {
    int family;                    /* AF_INET, AF_INET6; 0: both */
    const char *const *more_hosts; /* further hosts to listen at, up to a NULL; NULL: none */
    int backlog;                   /* listen(2)'s; 0: 100 */
    size_t max_connections;        /* 0: 10 000 */
    size_t limit;                  /* of its streams: see cio_connect_options */
    size_t high_water;
    double close_timeout;
    size_t stack_size; /* of the clients' tasks; 0: the loop's */
    double
        grace; /* serve_forever: seconds that clients have to finish when it is canceled; 0: none */
    bool reuse_port;            /* SO_REUSEPORT: several processes accept from one port */
    bool no_reuse_address;      /* leave SO_REUSEADDR off */
    bool keep_alive;            /* SO_KEEPALIVE */
    bool delay;                 /* leave Nagle's algorithm on */
    bool keep_socket_file;      /* leave a unix socket's file there at the end */
    bool stopped;               /* listen later: cio_server_start_serving() (start_serving=False) */
    const cio_tls_context *tls; /* speak TLS: cio_tls_server_context(); shared, not taken */
} cio_server_options;

/*
 * What a server calls for each connection, in a task of its own. The stream may be closed by it; if
 * it is not, it is closed when the function returns, after what was written. An error that it
 * returns, but CIO_ECANCELED, is reported to the exception handler.
 */
typedef int cio_client_connected(cio_stream *s, void *arg);

/*
 * Listens at every address of a host, with a socket each, and a port (asyncio.start_server). Names
 * are looked up by cio_getaddrinfo(), in a task; for numbers it does not wait and needs no task. A
 * NULL or empty host: all interfaces, by IPv4 and IPv6; "0": a free port, another for each address,
 * see cio_server_sockets(). An address that this machine has not, and a family, is passed over if
 * there is another. options may be NULL. Returns 0 and the server in *ret, to be ended by
 * cio_server_free(); -EINVAL also if there is no port; as cio_getaddrinfo(); -EADDRINUSE and what
 * else the system says; -ENOMEM; CIO_ENOLOOP. *ret is NULL after an error. [total]
 */
CIO_API int cio_start_server(cio_server **ret, cio_client_connected *fn, void *arg,
                             const char *host, const char *service,
                             const cio_server_options *options);

/*
 * Listens at a unix socket (asyncio.start_unix_server). A socket file of that name that is there
 * is replaced; it is removed when the server closes, if it is still the same. '@' begins an
 * abstract name.
 */
CIO_API int cio_start_unix_server(cio_server **ret, cio_client_connected *fn, void *arg,
                                  const char *path, const cio_server_options *options);

/*
 * What a server of transports calls for each connection: returns its protocol and leaves what that
 * will be called with in *self. NULL: the connection is refused.
 */
typedef const cio_protocol *cio_protocol_factory(void *arg, void **self);

/* The same servers for protocols (loop.create_server, loop.create_unix_server). */
CIO_API int cio_create_server(cio_server **ret, cio_protocol_factory *factory, void *arg,
                              const char *host, const char *service,
                              const cio_server_options *options);
CIO_API int cio_create_unix_server(cio_server **ret, cio_protocol_factory *factory, void *arg,
                                   const char *path, const cio_server_options *options);

/* Accepts connections, if it was started with `stopped`. Again: nothing. CIO_ESTATE once closed. */
CIO_API int cio_server_start_serving(cio_server *server);
CIO_API bool cio_server_is_serving(const cio_server *server); /* false for NULL */

/*
 * Stops listening, for good; connections live on (server.close). Again: nothing. Does not wait.
 */
CIO_API int cio_server_close(cio_server *server);

/*
 * Asks the connections to end (server.close_clients): transports are closed; readers of streams
 * find the end, and what they write is sent.
 */
CIO_API int cio_server_close_clients(cio_server *server);

/*
 * Ends the connections (server.abort_clients): transports are aborted; streams are cut off, and
 * every call on them says -ECONNABORTED from then on.
 */
CIO_API int cio_server_abort_clients(cio_server *server);

/*
 * Waits until it is closed and no connection is left (server.wait_closed): streams that send their
 * last bytes count too. Returns 0, CIO_ENOTASK, CIO_ECANCELED [total].
 */
CIO_API int cio_server_wait_closed(cio_server *server);

/*
 * Closes it and gives the clients so many seconds to finish; then it cancels their tasks, aborts
 * their connections and waits until they are gone. Returns how many had to be cut off; -EINVAL for
 * a grace that is negative or NaN; CIO_ENOTASK; CIO_ECANCELED (the server is closed, and those that
 * are left live on). No asyncio counterpart.
 */
CIO_API int cio_server_shutdown(cio_server *server, double grace);

/*
 * Serves until canceled or closed (server.serve_forever). Canceled, it shuts down as
 * cio_server_shutdown() does with the options' grace and returns CIO_ECANCELED when all is over, or
 * at once when it is canceled again. Closed by somebody else: 0, when no connection is left.
 * CIO_ESTATE if it is served for ever or closed already; CIO_ENOTASK.
 */
CIO_API int cio_server_serve_forever(cio_server *server);

/* The descriptors that it listens at: up to n of them in fds. Returns how many there are. */
CIO_API int cio_server_sockets(const cio_server *server, int *fds, int n);

/* How many connections there are. */
CIO_API size_t cio_server_connections(const cio_server *server);

/*
 * Closes it if need be and frees it; connections that are left go on without it. NULL does nothing.
 * CIO_ESTATE while a task waits for it: nothing has happened.
 */
CIO_API int cio_server_free(cio_server *server);

CIO_END

#endif
