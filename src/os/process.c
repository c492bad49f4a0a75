/* What the loop must know about processes and threads. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

int cio__at_fork(void (*in_child)(void))
{
    return -pthread_atfork(NULL, NULL, in_child);
}

bool cio__in_main_thread(void)
{
    return getpid() == (pid_t)syscall(SYS_gettid);
}
