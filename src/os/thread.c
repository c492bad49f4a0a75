/* Threads, and waiting in them, by pthreads and futexes. */
#include "os/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/kernel.h"
#include "os/os.h"
#include "os/spin.h"
#include "os/valgrind.h"

/* A sanitizer's report is written by any thread. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#define STACK_MOST ((size_t)1024 * 1024 * 1024)

static void block_signals(sigset_t *before)
{
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        sigdelset(&blocked, kept[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* A thread begins with its maker's mask: so it never sees a signal, not even at its start. */
int cio__thread_start(pthread_t *thread, size_t stack_size, void *(*main)(void *), void *arg)
{
    pthread_attr_t attributes;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
    if (stack_size)
        rc = pthread_attr_setstacksize(&attributes, stack_size);
    if (rc == 0) {
        sigset_t before;
        block_signals(&before);
        rc = pthread_create(thread, &attributes, main, arg);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return -rc;
}

void cio__thread_set_name(const char *name)
{
    char cut[CIO__THREAD_NAME_SIZE];
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

void cio__thread_leave_files(void)
{
#if defined SYS_close_range && !SANITIZED
    enum { UNSHARE = 2 }; /* CLOSE_RANGE_UNSHARE of <linux/close_range.h> */
    if (!RUNNING_ON_VALGRIND)
        syscall(SYS_close_range, 0u, ~0u, UNSHARE);
#endif
}

bool cio__thread_stack_fits(size_t size)
{
    return size >= (size_t)sysconf(_SC_THREAD_STACK_MIN) && size <= STACK_MOST;
}

int cio__processors(void)
{
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0)
        return CPU_COUNT(&mine);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more of them than a cpu_set_t holds */
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

/* ---- parking ---- */

enum { EMPTY = 0, PARKED = 1, NOTIFIED = 2 };

static int futex_wait(uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / CIO__NS_PER_S,
                                .tv_nsec = deadline_ns % CIO__NS_PER_S};
    const struct timespec *limit = deadline_ns == INT64_MAX ? NULL : &deadline;
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    return rc < 0 ? -errno : 0;
}

static bool take_notice(struct cio__parker *parker)
{
    if (__atomic_load_n(&parker->state, __ATOMIC_ACQUIRE) != NOTIFIED)
        return false;
    __atomic_store_n(&parker->state, EMPTY, __ATOMIC_RELAXED);
    return true;
}

bool cio__park(struct cio__parker *parker, int64_t deadline_ns)
{
    uint32_t state = EMPTY;
    __atomic_compare_exchange_n(&parker->state, &state, PARKED, false, __ATOMIC_ACQUIRE,
                                __ATOMIC_ACQUIRE);
    while (!take_notice(parker)) {
        if (futex_wait(&parker->state, PARKED, deadline_ns) != -ETIMEDOUT)
            continue; /* woken, interrupted, or notified before it slept */
        state = PARKED;
        if (__atomic_compare_exchange_n(&parker->state, &state, EMPTY, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_ACQUIRE))
            return false;
    }
    return true;
}

bool cio__park_awake(struct cio__parker *parker)
{
    int64_t until_ns = cio__monotonic_ns() + CIO__SPIN_NS;
    do {
        for (int i = 0; i < CIO__SPIN_CHECKS; i++) {
            if (take_notice(parker))
                return true;
            cio__spin_pause();
        }
    } while (cio__monotonic_ns() < until_ns);
    return false;
}

void cio__unpark(struct cio__parker *parker)
{
    if (__atomic_exchange_n(&parker->state, NOTIFIED, __ATOMIC_ACQ_REL) == PARKED)
        syscall(SYS_futex, &parker->state, FUTEX_WAKE_PRIVATE, 1);
}
