/* The system calls of a backend that asks the real kernel: shared by all such backends. */
#ifndef CIO_OS_KERNEL_H
#define CIO_OS_KERNEL_H

#include <errno.h>

#include "os/os.h"

/* A system call, again when a signal interrupts it; its result, or the negated errno. */
#define RETRY(call)                                                                                \
    ({                                                                                             \
        __typeof__(call) result_;                                                                  \
        do                                                                                         \
            result_ = (call);                                                                      \
        while (unlikely(result_ < 0) && errno == EINTR);                                           \
        likely(result_ >= 0) ? result_ : (__typeof__(call))-errno;                                 \
    })

int cio__kernel_socket(struct cio__os *os, int family, int type, int protocol);
bool cio__kernel_is_open(struct cio__os *os, int fd);
bool cio__kernel_blocks(struct cio__os *os, int fd);
int cio__kernel_close_fd(struct cio__os *os, int fd);
int cio__kernel_connect(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size);
int cio__kernel_socket_error(struct cio__os *os, int fd);
bool cio__kernel_is_tcp(struct cio__os *os, int fd);
int cio__kernel_accept(struct cio__os *os, int fd, struct sockaddr *address, socklen_t *size);
ssize_t cio__kernel_receive(struct cio__os *os, int fd, struct msghdr *message);
ssize_t cio__kernel_receive_into(struct cio__os *os, int fd, void *data, size_t size);
ssize_t cio__kernel_send(struct cio__os *os, int fd, const void *data, size_t size);
ssize_t cio__kernel_send_to(struct cio__os *os, int fd, const void *data, size_t size,
                            const struct sockaddr *address, socklen_t address_size);
ssize_t cio__kernel_send_vector(struct cio__os *os, int fd, const struct iovec *buffers, size_t n);
int cio__kernel_receive_many(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n);
int cio__kernel_send_many(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n);
int cio__kernel_socket_type(struct cio__os *os, int fd);
int64_t cio__kernel_socket_drops(struct cio__os *os, int fd);
int cio__kernel_shut_writing(struct cio__os *os, int fd);
ssize_t cio__kernel_read_at(struct cio__os *os, int fd, void *data, size_t size, int64_t offset,
                            bool nowait);
int cio__kernel_open_pipe(struct cio__os *os, int ends[2], size_t size);
ssize_t cio__kernel_pipe_in(struct cio__os *os, int fd, int pipe, size_t size);
ssize_t cio__kernel_pipe_out(struct cio__os *os, int pipe, int fd, size_t size);
ssize_t cio__kernel_read(struct cio__os *os, int fd, void *data, size_t size);
ssize_t cio__kernel_write_vector(struct cio__os *os, int fd, const struct iovec *buffers, size_t n);
int cio__kernel_file_type(struct cio__os *os, int fd);
int cio__kernel_set_nonblocking(struct cio__os *os, int fd);
int cio__kernel_tls_attach(struct cio__os *os, int fd);
int cio__kernel_tls_keys(struct cio__os *os, int fd, const void *keys);
ssize_t cio__kernel_tls_record(struct cio__os *os, int fd, uint8_t kind, const void *data,
                               size_t size);
ssize_t cio__kernel_send_file(struct cio__os *os, int fd, int file, int64_t offset, size_t size);
int cio__kernel_bind(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size);
int cio__kernel_listen(struct cio__os *os, int fd, int backlog);
int cio__kernel_set_option(struct cio__os *os, int fd, int level, int option, int value);
int cio__kernel_socket_name(struct cio__os *os, int fd, bool peer, struct sockaddr *address,
                            socklen_t *size);
int cio__kernel_open_process(struct cio__os *os, pid_t pid);
int cio__kernel_reap(struct cio__os *os, pid_t pid, int *ret_status);
int cio__kernel_signal_process(struct cio__os *os, int fd, pid_t pid, int signo);
int64_t cio__kernel_now_ns(struct cio__os *os);

#endif
