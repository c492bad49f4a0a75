/* Connected sockets: what streams and transports are made of. */
#ifndef CIO_IO_CONNECT_H
#define CIO_IO_CONNECT_H

#include <cio/stream.h>

/*
 * Connects in the current task to the first address that lets itself be connected to. Returns the
 * descriptor or the most telling error.
 */
int cio__connect(const char *host, const char *service, const cio_connect_options *options);
int cio__connect_unix(const char *path, const cio_connect_options *options);

/* Whatever becomes of a call, its report may be read. */
static inline void cio__report_nothing(const cio_connect_options *options)
{
    if (options->report)
        options->report->n = 0;
}

/* TCP_NODELAY and SO_KEEPALIVE as wished; other sockets are left alone. */
void cio__set_socket_options(cio_loop *loop, int fd, bool delay, bool keep_alive);

#endif
