/* Kernels that are old, and sandboxes that refuse what is new: the loop does with less. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

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
    if (syscall(system_call, -1, NULL, 0, NULL, NULL, 0) >= 0 || errno != (int)error)
        test_skip("seccomp filters have no effect here");
}

static struct {
    cio_loop *loop;
    cio_handle handle, wake;
    double not_before;
    int n_left, n_polls;
} clockwork;

static void count_poll(void *arg)
{
    (void)arg;
    clockwork.n_polls++;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void tick(void *arg)
{
    (void)arg;
    assert_true(cio_time(clockwork.loop) >= clockwork.not_before);
    if (--clockwork.n_left == 0) {
        stop_loop(clockwork.loop);
        return;
    }
    clockwork.not_before = cio_time(clockwork.loop) + 0.0003 * (clockwork.n_left % 7);
    cio_call_at(clockwork.loop, &clockwork.handle, clockwork.not_before, tick, NULL);
}

static void *post_stop(void *arg)
{
    usleep(2000);
    cio_call_soon_threadsafe(arg, &clockwork.wake, stop_loop, arg);
    return NULL;
}

/* Milliseconds are all that there is: timers come no earlier, and the loop does not spin. */
static void run_clockwork(void)
{
    enum { N = 50 };
    pthread_t thread;
    cio_handle far = {0};
    clockwork.loop = new_loop();
    clockwork.n_left = N;
    cio_set_poll_hooks(clockwork.loop, count_poll, do_nothing, NULL);
    cio_call_soon(clockwork.loop, &clockwork.handle, tick, NULL);
    assert_int_equal(cio_run_forever(clockwork.loop), 0);
    assert_true(clockwork.n_polls <= 2 * N);

    cio_call_later(clockwork.loop, &far, 1e9, note, "too early");
    assert_int_equal(pthread_create(&thread, NULL, post_stop, clockwork.loop), 0);
    assert_int_equal(cio_run_forever(clockwork.loop), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_trace("");
    free_loop(clockwork.loop);
}

/* T6: before Linux 5.11. */
TEST(t6_timers_without_epoll_pwait2)
{
    refuse(SYS_epoll_pwait2, ENOSYS);
    run_clockwork();
}

/* T6: some sandboxes say EPERM of what they do not know. */
TEST(t6_timers_where_epoll_pwait2_is_forbidden)
{
    refuse(SYS_epoll_pwait2, EPERM);
    run_clockwork();
}
