/*
 * Floor 0: the seam to the outside world. A backend is one table of functions; the floors above ask
 * the kernel for nothing but through it, so that another kernel (a ring, a simulation) can be put
 * beneath the same loop.
 *
 * System calls return >= 0 or a negated errno, and are repeated when a signal interrupts them.
 */
#ifndef CIO_OS_H
#define CIO_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define CIO__NS_PER_S 1000000000LL
#define CIO__WAIT_FOREVER (-1)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* What one can wish to know of a descriptor, and what one is told. */
enum cio__readiness {
    CIO__READABLE = 1,
    CIO__WRITABLE = 2,
    CIO__HANGUP = 4,  /* told only: the peer will send no more, or the descriptor failed */
    CIO__EDGE = 8,    /* wished only: told once per change instead of at every poll */
    CIO__URGENT = 16, /* told only, if CIO__EDGE was wished: out-of-band data lies in the stream */
};

struct mmsghdr;

struct cio__event {
    uint64_t tag; /* as given to watch() */
    unsigned readiness;
};

/* An open backend; each has its own struct, beginning with this one. */
struct cio__os {
    const struct cio__os_ops *ops;
};

struct cio__os_ops {
    const char *name;
    bool real_time; /* its clock goes on while callbacks run, and may be watched by a thread */

    int (*open)(struct cio__os **ret_os);
    void (*close)(struct cio__os *os);

    /* The monotonic clock, in nanoseconds. */
    int64_t (*now_ns)(struct cio__os *os);

    /*
     * Waits until a watched descriptor is ready, wake() is called, a signal comes or the time is
     * over (never before; CIO__WAIT_FOREVER: no limit). Returns how many events it wrote.
     */
    int (*poll)(struct cio__os *os, int64_t timeout_ns, struct cio__event *events, int n);

    /*
     * Watches fd for these readinesses; 0 readiness: no longer. known says whether the caller
     * thinks that fd is watched already: a hint that saves a system call, not a condition.
     */
    int (*watch)(struct cio__os *os, int fd, unsigned readiness, uint64_t tag, bool known);

    /* Ends a poll in progress, or the next one. From any thread or signal handler. */
    void (*wake)(struct cio__os *os);

    int (*socket)(struct cio__os *os, int family, int type, int protocol);
    bool (*is_open)(struct cio__os *os, int fd);
    bool (*blocks)(struct cio__os *os, int fd); /* its calls may wait; false for none */
    int (*close_fd)(struct cio__os *os, int fd);
    int (*connect)(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size);
    int (*socket_error)(struct cio__os *os, int fd); /* SO_ERROR, negated; it is then cleared */
    bool (*is_tcp)(struct cio__os *os, int fd);
    int (*accept)(struct cio__os *os, int fd, struct sockaddr *address, socklen_t *size);
    ssize_t (*receive)(struct cio__os *os, int fd, struct msghdr *message);
    ssize_t (*receive_into)(struct cio__os *os, int fd, void *data, size_t size);
    ssize_t (*send)(struct cio__os *os, int fd, const void *data, size_t size);
    ssize_t (*send_vector)(struct cio__os *os, int fd, const struct iovec *buffers, size_t n);
    ssize_t (*send_to)(struct cio__os *os, int fd, const void *data, size_t size,
                       const struct sockaddr *address, socklen_t address_size);
    /* Datagrams, as many as there are or as it takes: how many, or an error if none. */
    int (*receive_many)(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n);
    int (*send_many)(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n);
    int (*socket_type)(struct cio__os *os, int fd);      /* SOCK_DGRAM and so on */
    int64_t (*socket_drops)(struct cio__os *os, int fd); /* what came and found no room */
    int (*shut_writing)(struct cio__os *os, int fd);

    /* Files. nowait: -EAGAIN for what is not in memory, -EOPNOTSUPP where nobody can tell. */
    ssize_t (*read_at)(struct cio__os *os, int fd, void *data, size_t size, int64_t offset,
                       bool nowait);
    /* Pipes, for moving bytes from one non-blocking socket to another. */
    int (*open_pipe)(struct cio__os *os, int ends[2], size_t size);
    ssize_t (*pipe_in)(struct cio__os *os, int fd, int pipe, size_t size);
    ssize_t (*pipe_out)(struct cio__os *os, int pipe, int fd, size_t size);
    ssize_t (*read)(struct cio__os *os, int fd, void *data, size_t size);
    /* What a broken pipe's signal does is the program's to say; where it is ignored: -EPIPE. */
    ssize_t (*write_vector)(struct cio__os *os, int fd, const struct iovec *buffers, size_t n);
    int (*file_type)(struct cio__os *os, int fd); /* S_IFIFO and so on */
    int (*set_nonblocking)(struct cio__os *os, int fd);
    /* From a file to a socket, which must be non-blocking; 0: the file ends there. */
    ssize_t (*send_file)(struct cio__os *os, int fd, int file, int64_t offset, size_t size);

    /*
     * TLS by the kernel, of a connected TCP socket: has it be ready for keys; gives it those for
     * sending, as <linux/tls.h> has them: all that is sent from then on is encrypted, as data; and
     * sends a record of another kind there.
     */
    int (*tls_attach)(struct cio__os *os, int fd);
    int (*tls_keys)(struct cio__os *os, int fd, const void *keys);
    ssize_t (*tls_record)(struct cio__os *os, int fd, uint8_t kind, const void *data, size_t size);

    int (*bind)(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size);
    int (*listen)(struct cio__os *os, int fd, int backlog);
    int (*set_option)(struct cio__os *os, int fd, int level, int option, int value);
    int (*socket_name)(struct cio__os *os, int fd, bool peer, struct sockaddr *address,
                       socklen_t *size);

    /* A descriptor that is readable when the child process has ended. */
    int (*open_process)(struct cio__os *os, pid_t pid);
    /* 1: it has ended, and this is waitpid()'s status, told once; 0: it still runs. */
    int (*reap)(struct cio__os *os, pid_t pid, int *ret_status);
    /* fd: of open_process(), so that no other process of that number can be meant; or -1. */
    int (*signal_process)(struct cio__os *os, int fd, pid_t pid, int signo);
};

/* The backend of that name; NULL name: $CIO_BACKEND, else the default. NULL if there is none. */
const struct cio__os_ops *cio__backend(const char *name);

extern const struct cio__os_ops cio__epoll_backend;

/* The system's monotonic clock, for those who have no loop. */
int64_t cio__monotonic_ns(void);

/* Has a function called in every child process that is forked from now on. Returns 0 or -ENOMEM. */
int cio__at_fork(void (*in_child)(void));

bool cio__in_main_thread(void);

/* This thread's number in the kernel. */
int cio__thread_number(void);

#endif
