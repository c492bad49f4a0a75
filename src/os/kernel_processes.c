/* The real kernel's system calls about child processes. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/kernel.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

int cio__kernel_open_process(struct cio__os *os, pid_t pid)
{
    (void)os;
    return (int)RETRY(syscall(SYS_pidfd_open, pid, 0));
}

int cio__kernel_reap(struct cio__os *os, pid_t pid, int *ret_status)
{
    (void)os;
    pid_t ended = RETRY(waitpid(pid, ret_status, WNOHANG));
    return ended > 0 ? 1 : (int)ended;
}

int cio__kernel_signal_process(struct cio__os *os, int fd, pid_t pid, int signo)
{
    (void)os;
    if (fd >= 0)
        return (int)RETRY(syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0));
    return RETRY(kill(pid, signo));
}
