/* Where the kernel does not pass files on: they are read and written, unless that is refused. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"

#ifndef SYS_sendfile
#define SYS_sendfile SYS_sendfile64
#endif

enum { BIG = 1000000 };

/* From now on this process gets that error from that system call. */
static void refuse(unsigned system_call, unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        test_skip("no seccomp filters here");
}

static void refuse_sendfile(unsigned error)
{
    refuse(SYS_sendfile, error);
    if (sendfile(-1, -1, NULL, 1) >= 0 || errno != (int)error)
        test_skip("seccomp filters have no effect here");
}

static int to_stream(void *arg)
{
    struct ends e;
    const cio_sendfile_options native = {.native_only = true};
    (void)arg;
    ends_open(&e, NULL);
    int file = file_make(BIG, 7);
    assert_int_equal(cio_sendfile_with(e.s, file, 0, BIG, &native), -EOPNOTSUPP);
    assert_int_equal(cio_partly_written(e.s), 0);
    struct file_check check = {.fd = e.peer, .seed = 7};
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_sendfile(e.s, file, 0, CIO_TO_END), BIG);
    assert_int_equal(cio_close(e.s), 0);
    file_check_end(checking, &check, BIG);
    close(file);
    return 0;
}

static int to_socket(int fds[2])
{
    const cio_sendfile_options native = {.native_only = true};
    int file = file_make(BIG, 7);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, BIG, &native), -EOPNOTSUPP);
    struct file_check check = {.fd = fds[1], .seed = 7};
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, BIG, NULL), BIG);
    cio_sock_close(fds[0]);
    file_check_end(checking, &check, BIG);
    close(file);
    return 0;
}

TEST(t64_sendfile_falls_back_where_the_file_cannot_be_mapped)
{
    refuse_sendfile(EINVAL);
    assert_int_equal(run_quiet(to_stream, NULL), 0);
    net_run_on_all(to_socket);
}

TEST(t64_sendfile_falls_back_where_there_is_no_such_call)
{
    refuse_sendfile(ENOSYS);
    assert_int_equal(run_quiet(to_stream, NULL), 0);
    net_run_on_all(to_socket);
}

/* Nor is there a way to ask what is in memory. */
TEST(sendfile_without_preadv2)
{
    refuse(SYS_preadv2, ENOSYS);
    refuse_sendfile(EPERM);
    assert_int_equal(run_quiet(to_stream, NULL), 0);
    net_run_on_all(to_socket);
}
