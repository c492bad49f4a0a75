/* What the loop must know about processes and threads. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

int cio__at_fork(void (*in_child)(void))
{
    return -pthread_atfork(NULL, NULL, in_child);
}

int cio__thread_number(void)
{
    return (int)syscall(SYS_gettid);
}

bool cio__in_main_thread(void)
{
    return getpid() == cio__thread_number();
}
