/*
 * Connecting to the first of several addresses that lets itself be connected to (RFC 8305, "happy
 * eyeballs"): one after the other, but without waiting for each to fail.
 */
#ifndef CIO_IO_EYEBALLS_H
#define CIO_IO_EYEBALLS_H

#include <netdb.h>

#include <cio/stream.h>

/* Puts the families in turn, as the options say; the first address stays the first. */
void cio__interleave(struct addrinfo *peers, const cio_connect_options *options);

/*
 * Connects in the current task, from one of the local addresses if there are any. Returns the
 * descriptor, or the most telling error. No other socket is left.
 */
int cio__connect_any(const struct addrinfo *peers, const struct addrinfo *local,
                     const cio_connect_options *options);

#endif
