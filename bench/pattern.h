/* The bytes that are sent, and expected back. */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>

void pattern_fill(unsigned char *data, size_t size);

/* Writes a file of them. 0, or -1 and errno. */
int pattern_write(const char *path, size_t size);

#endif
