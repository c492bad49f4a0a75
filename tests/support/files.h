/* Files for tests, without a name, whose bytes can be checked at any position. */
#ifndef CIO_TESTS_FILES_H
#define CIO_TESTS_FILES_H

#include <stdbool.h>

#include <stddef.h>
#include <stdint.h>

#include <cio.h>

/* So many bytes of stream `seed`; open for reading and writing, and gone when it is closed. */
int file_make(size_t size, uint32_t seed);

/* Puts it out of the page cache; false where that cannot be done, or not be seen. */
bool file_make_cold(int file, size_t size);

/*
 * A task that receives from a plain socket until its end, and checks that the bytes are `before`
 * zeros and then those of stream `seed` from `offset` on. It ends with 0.
 */
struct file_check {
    int fd;
    size_t before;
    uint32_t seed;
    size_t offset;
    size_t received; /* so far */
    size_t pause_at; /* waits for `go` after so many; 0: never */
    cio_event *go;
};
int file_check(void *arg);

/* Waits for such a task: so many bytes came, and all were right. Closes its socket. */
void file_check_end(cio_task *checking, const struct file_check *check, size_t received);

#endif
