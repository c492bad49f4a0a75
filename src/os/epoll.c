/* The epoll backend. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/environment.h"
#include "os/kernel.h"
#include "os/memory.h"
#include "os/valgrind.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define BATCH 512                /* events taken from the kernel at once */
#define WAKE_TAG UINT64_MAX      /* no descriptor has this tag */
#define LONGEST_WAIT_MS 86400000 /* of one epoll_wait(); the loop just polls again */

struct epoll_os {
    struct cio__os os;
    int epoll_fd;
    int wake_fd; /* an eventfd, edge-triggered and therefore never read */
    bool no_pwait2;
    struct epoll_event batch[BATCH];
};

static void epoll_os_close(struct cio__os *os)
{
    struct epoll_os *self = (struct epoll_os *)os;
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    if (self->epoll_fd >= 0)
        close(self->epoll_fd);
    cio__free(self);
}

static int open_descriptors(struct epoll_os *self)
{
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0)
        return -errno;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_TAG};
    return epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->wake_fd, &event) < 0 ? -errno : 0;
}

static int epoll_os_open(struct cio__os **ret_os)
{
    struct epoll_os *self = cio__alloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    *self = (struct epoll_os){.os.ops = &cio__epoll_backend,
                              .epoll_fd = -1,
                              .wake_fd = -1,
                              .no_pwait2 = RUNNING_ON_VALGRIND};
    int rc = open_descriptors(self);
    if (rc < 0) {
        epoll_os_close(&self->os);
        return rc;
    }
    *ret_os = &self->os;
    return 0;
}

/* Milliseconds are rounded up: waking early would make the loop spin until the timer is due. */
static int wait_ms(struct epoll_os *self, int64_t timeout_ns, int n)
{
    int ms = -1;
    if (timeout_ns >= 0) {
        int64_t rounded = (timeout_ns + 999999) / 1000000;
        ms = rounded < LONGEST_WAIT_MS ? (int)rounded : LONGEST_WAIT_MS;
    }
    return epoll_wait(self->epoll_fd, self->batch, n, ms);
}

/* epoll_pwait2 (Linux 5.11) waits by nanoseconds; old kernels and some sandboxes refuse it. */
static int wait_ns(struct epoll_os *self, int64_t timeout_ns, int n)
{
    struct timespec t = {.tv_sec = timeout_ns / CIO__NS_PER_S,
                         .tv_nsec = timeout_ns % CIO__NS_PER_S};
    long rc = syscall(SYS_epoll_pwait2, self->epoll_fd, self->batch, n, &t, NULL, (size_t)0);
    if (rc < 0 && (errno == ENOSYS || errno == EPERM)) {
        self->no_pwait2 = true;
        return wait_ms(self, timeout_ns, n);
    }
    return (int)rc;
}

static int wait_events(struct epoll_os *self, int64_t timeout_ns, int n)
{
    if (timeout_ns <= 0 || self->no_pwait2)
        return wait_ms(self, timeout_ns, n);
    return wait_ns(self, timeout_ns, n);
}

static unsigned from_epoll(uint32_t events)
{
    unsigned readiness = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        readiness |= CIO__READABLE;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        readiness |= CIO__WRITABLE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        readiness |= CIO__HANGUP;
    if (events & EPOLLPRI)
        readiness |= CIO__URGENT;
    return readiness;
}

static int epoll_os_poll(struct cio__os *os, int64_t timeout_ns, struct cio__event *events, int n)
{
    struct epoll_os *self = (struct epoll_os *)os;
    int got = wait_events(self, timeout_ns, n < BATCH ? n : BATCH);
    if (got < 0)
        return errno == EINTR ? 0 : -errno;

    int kept = 0;
    for (int i = 0; i < got; i++) {
        if (self->batch[i].data.u64 == WAKE_TAG)
            continue;
        events[kept].tag = self->batch[i].data.u64;
        events[kept].readiness = from_epoll(self->batch[i].events);
        kept++;
    }
    return kept;
}

static uint32_t to_epoll(unsigned readiness)
{
    uint32_t events = 0;
    if (readiness & CIO__READABLE)
        events |= EPOLLIN | EPOLLRDHUP;
    if (readiness & CIO__WRITABLE)
        events |= EPOLLOUT;
    if (readiness & CIO__EDGE)
        events |= EPOLLET | EPOLLPRI;
    return events;
}

/*
 * The loop's idea of what is registered can be out of date, because closing a descriptor removes it
 * silently: so a change that finds nothing adds, and the reverse.
 */
static int epoll_os_watch(struct cio__os *os, int fd, unsigned readiness, uint64_t tag, bool known)
{
    struct epoll_os *self = (struct epoll_os *)os;
    struct epoll_event event = {.events = to_epoll(readiness), .data.u64 = tag};
    if (readiness == 0) {
        epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    int first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(self->epoll_fd, first, fd, &event) == 0)
        return 0;
    if (errno != (known ? ENOENT : EEXIST))
        return -errno;
    int second = known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    return epoll_ctl(self->epoll_fd, second, fd, &event) < 0 ? -errno : 0;
}

static void epoll_os_wake(struct cio__os *os)
{
    struct epoll_os *self = (struct epoll_os *)os;
    int saved = errno; /* a signal handler may be calling */
    uint64_t one = 1;
    ssize_t rc;
    do
        rc = write(self->wake_fd, &one, sizeof one);
    while (rc < 0 && errno == EINTR);
    errno = saved;
}

const struct cio__os_ops cio__epoll_backend = {
    .name = "epoll",
    .real_time = true,
    .open = epoll_os_open,
    .close = epoll_os_close,
    .now_ns = cio__kernel_now_ns,
    .poll = epoll_os_poll,
    .watch = epoll_os_watch,
    .wake = epoll_os_wake,
    .socket = cio__kernel_socket,
    .is_open = cio__kernel_is_open,
    .blocks = cio__kernel_blocks,
    .close_fd = cio__kernel_close_fd,
    .connect = cio__kernel_connect,
    .socket_error = cio__kernel_socket_error,
    .is_tcp = cio__kernel_is_tcp,
    .accept = cio__kernel_accept,
    .receive = cio__kernel_receive,
    .receive_into = cio__kernel_receive_into,
    .send = cio__kernel_send,
    .send_to = cio__kernel_send_to,
    .send_vector = cio__kernel_send_vector,
    .receive_many = cio__kernel_receive_many,
    .send_many = cio__kernel_send_many,
    .socket_type = cio__kernel_socket_type,
    .socket_drops = cio__kernel_socket_drops,
    .shut_writing = cio__kernel_shut_writing,
    .read_at = cio__kernel_read_at,
    .open_pipe = cio__kernel_open_pipe,
    .pipe_in = cio__kernel_pipe_in,
    .pipe_out = cio__kernel_pipe_out,
    .read = cio__kernel_read,
    .write_vector = cio__kernel_write_vector,
    .file_type = cio__kernel_file_type,
    .set_nonblocking = cio__kernel_set_nonblocking,
    .send_file = cio__kernel_send_file,
    .tls_attach = cio__kernel_tls_attach,
    .tls_keys = cio__kernel_tls_keys,
    .tls_record = cio__kernel_tls_record,
    .bind = cio__kernel_bind,
    .listen = cio__kernel_listen,
    .set_option = cio__kernel_set_option,
    .socket_name = cio__kernel_socket_name,
    .open_process = cio__kernel_open_process,
    .reap = cio__kernel_reap,
    .signal_process = cio__kernel_signal_process,
};

const struct cio__os_ops *cio__backend(const char *name)
{
    const char *asked = name ? name : cio__env_backend();
    if (!asked || !*asked || strcmp(asked, "epoll") == 0)
        return &cio__epoll_backend;
    if (!name)
        cio__env_no_such_backend(asked);
    return NULL;
}
