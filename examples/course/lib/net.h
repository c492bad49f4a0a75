/* What the programs of the network have in common. */
#ifndef COURSE_NET_H
#define COURSE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: that is no port. */
bool read_port(const char *text, uint16_t *ret);

/* A number from least to most; false: it is none. */
bool read_number(const char *text, long least, long most, long *ret);

/*
 * Listens at 127.0.0.1 and says at which port; 0: a free one. Returns the socket, or a negative
 * error that it has told of.
 */
int listen_at(uint16_t port, bool blocking);

/* Says at which port a socket listens. */
void tell_port(int fd);

/* As many descriptors as one may have: a server of many clients needs them. */
void raise_files_limit(void);

#endif
