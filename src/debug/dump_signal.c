/* Dumps when a signal asks for them. */
#include <cio/debug.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "debug/mode.h"
#include "debug/stop.h"
#include "os/environment.h"

static int dump_signal;      /* 0: none */
static int dump_signal_runs; /* cio_run()s that asked for it */
static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_dump_signal(int signal_number)
{
    int saved = errno;
    (void)signal_number;
    cio__service_dump();
    errno = saved;
}

static void stop_dump_signal(void)
{
    struct sigaction now;
    if (sigaction(dump_signal, NULL, &now) == 0 && now.sa_handler == on_dump_signal)
        signal(dump_signal, SIG_DFL);
    dump_signal = 0;
    cio__service_end();
}

static int start_dump_signal(int signal_number)
{
    struct sigaction before;
    if (sigaction(signal_number, NULL, &before) < 0)
        return -errno;
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        return -EBUSY;
    int rc = cio__service_begin();
    if (rc < 0)
        return rc;
    struct sigaction action = {.sa_handler = on_dump_signal,
                               .sa_flags = SA_RESTART | cio__on_stack()};
    if (sigaction(signal_number, &action, NULL) < 0) {
        rc = -errno;
        cio__service_end();
        return rc;
    }
    dump_signal = signal_number;
    return 0;
}

static int set_dump_signal(int signal_number)
{
    if (signal_number == dump_signal)
        return 0;
    if (dump_signal)
        stop_dump_signal();
    return signal_number ? start_dump_signal(signal_number) : 0;
}

int cio_dump_on_signal(int signal_number)
{
    if (signal_number < 0 || signal_number == SIGURG || signal_number == SIGKILL ||
        signal_number == SIGSTOP || signal_number > SIGRTMAX)
        return -EINVAL;
    pthread_mutex_lock(&signal_lock);
    int rc = set_dump_signal(signal_number);
    dump_signal_runs = 0; /* it stays until the program says otherwise */
    pthread_mutex_unlock(&signal_lock);
    return rc;
}

bool cio__dumps_on(int signal_number)
{
    struct sigaction now;
    return sigaction(signal_number, NULL, &now) == 0 && now.sa_handler == on_dump_signal;
}

/* A signal that cannot be had is not worth failing for: the program runs, and cannot be asked. */
bool cio__dump_signal_begin(int signal_number)
{
    if (!signal_number)
        signal_number = cio__env_dump_signal();
    if (signal_number <= 0 || signal_number > SIGRTMAX || signal_number == SIGURG)
        return false;
    cio__handler_stack_give();
    pthread_mutex_lock(&signal_lock);
    bool first = !dump_signal && set_dump_signal(signal_number) == 0;
    bool counted = first || dump_signal_runs > 0;
    dump_signal_runs += counted;
    pthread_mutex_unlock(&signal_lock);
    return counted;
}

void cio__dump_signal_end(void)
{
    pthread_mutex_lock(&signal_lock);
    if (dump_signal_runs > 0 && --dump_signal_runs == 0)
        set_dump_signal(0);
    pthread_mutex_unlock(&signal_lock);
}
