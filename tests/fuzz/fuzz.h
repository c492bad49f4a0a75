/*
 * Fuzz targets: fuzz_NAME.c defines LLVMFuzzerTestOneInput(), which must hold for any bytes. With
 * CIO_FUZZ (clang) libFuzzer looks for bytes for which it does not; otherwise each program runs it
 * on the files that it is given, and CTest gives it seeds/NAME/.
 */
#ifndef CIO_TESTS_FUZZ_H
#define CIO_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold. */
#define FUZZ_CHECK(what)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bytes of an input, taken one by one. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

/* 0 when there are no more. */
static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    if (!input->size)
        return 0;
    input->size--;
    return *input->data++;
}

/*
 * A copy of some bytes that ends where its memory ends, so that reading on is noticed. To be
 * freed.
 */
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size + !size);
    FUZZ_CHECK(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

#endif
