#include "pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void pattern_fill(unsigned char *data, size_t size)
{
    unsigned x = 12345;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (unsigned char)(x >> 24);
    }
}

int pattern_write(const char *path, size_t size)
{
    unsigned char *data = malloc(size);
    FILE *file = data ? fopen(path, "we") : NULL;
    if (file) {
        pattern_fill(data, size);
        errno = 0;
        size -= fwrite(data, 1, size, file);
        if (fclose(file) != 0)
            size = 1;
    }
    free(data);
    return file && size == 0 ? 0 : -1;
}
