#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

#include "files.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

int file_make(size_t size, uint32_t seed)
{
    char name[] = "/tmp/cio-test-XXXXXX";
    int file = mkostemp(name, O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(unlink(name), 0);
    char *data = malloc(size + 1);
    assert_non_null(data);
    net_fill(data, size, seed, 0);
    assert_int_equal(pwrite(file, data, size, 0), (ssize_t)size);
    free(data);
    return file;
}

bool file_make_cold(int file, size_t size)
{
    char byte;
    struct iovec buffer = {&byte, 1};
    assert_int_equal(fsync(file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    return preadv2(file, &buffer, 1, (off_t)size - 1, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

int file_check(void *arg)
{
    struct file_check *check = arg;
    static char data[100000];
    for (;;) {
        ssize_t n = cio_sock_recv(check->fd, data, sizeof data);
        if (n <= 0)
            return (int)n;
        size_t zeros = check->received < check->before ? check->before - check->received : 0;
        if (zeros > (size_t)n)
            zeros = (size_t)n;
        for (size_t i = 0; i < zeros; i++)
            assert_int_equal(data[i], 0);
        size_t at = check->received + zeros - check->before;
        if ((size_t)n > zeros)
            net_check(data + zeros, (size_t)n - zeros, check->seed, check->offset + at);
        check->received += (size_t)n;
        if (check->pause_at && check->received >= check->pause_at) {
            check->pause_at = 0;
            assert_int_equal(cio_event_wait(check->go), 0);
        }
    }
}

void file_check_end(cio_task *checking, const struct file_check *check, size_t received)
{
    assert_int_equal(cio_await(checking), 0);
    assert_int_equal(check->received, received);
    assert_int_equal(cio_sock_close(check->fd), 0);
}
