/* Looking at the loop of another thread. */
#include "debug/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "os/valgrind.h"

#define HANDLER_STACK ((size_t)64 * 1024)
#define ANSWER_WITHIN_MS 200
#define STOP_WITHIN_MS 500
#define MAIL_MS 1

/* One thread at a time is stopped: its number and how far it is, in one word. */
enum { ASKED = 1, ARRIVING = 2, STANDING = 3, GOING_ON = 4 };
static uint64_t stop; /* atomic; 0: nobody */
static struct cio__here stopped_here;

static uint64_t word(int thread, unsigned state)
{
    return (uint64_t)(unsigned)thread << 8 | state;
}

static bool change(uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&stop, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;

static void rest_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

static struct cio__frame frame_of(const ucontext_t *context)
{
    struct cio__frame frame = {.fp_known = true};
#if defined(__x86_64__)
    frame.pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    frame.sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    frame.fp = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    frame.pc = (uintptr_t)context->uc_mcontext.pc;
    frame.sp = (uintptr_t)context->uc_mcontext.sp;
    frame.fp = (uintptr_t)context->uc_mcontext.regs[29];
#else
    (void)context;
#endif
    return frame;
}

/*
 * Whoever asked reads our memory while we stand here, and waits for no lock that we may hold. A
 * signal that nobody has asked for means what it always meant: nothing.
 */
static void on_stop(int signal_number, siginfo_t *info, void *context)
{
    int saved = errno;
    (void)signal_number, (void)info;
    int thread = cio__thread_number();
    if (change(word(thread, ASKED), word(thread, ARRIVING))) {
        stopped_here = (struct cio__here){.current = cio__current, .frame = frame_of(context)};
        __atomic_store_n(&stop, word(thread, STANDING), __ATOMIC_RELEASE);
        while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == word(thread, STANDING))
            rest_ms(MAIL_MS);
        __atomic_store_n(&stop, 0, __ATOMIC_RELEASE);
    }
    errno = saved;
}

/* valgrind takes the way back from another stack for a loss of what lies on this one. */
int cio__on_stack(void)
{
    return RUNNING_ON_VALGRIND ? 0 : SA_ONSTACK;
}

void cio__stopping_begin(void)
{
    struct sigaction before;
    pthread_mutex_lock(&lock);
    struct sigaction action = {.sa_sigaction = on_stop,
                               .sa_flags = SA_SIGINFO | SA_RESTART | cio__on_stack()};
    if (users++ == 0 && sigaction(SIGURG, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(SIGURG, &action, NULL);
    pthread_mutex_unlock(&lock);
}

void cio__stopping_end(void)
{
    struct sigaction now;
    pthread_mutex_lock(&lock);
    if (--users == 0 && sigaction(SIGURG, NULL, &now) == 0 && now.sa_sigaction == on_stop)
        signal(SIGURG, SIG_DFL);
    pthread_mutex_unlock(&lock);
}

bool cio__stops_by(int signal_number)
{
    struct sigaction now;
    return signal_number == SIGURG && sigaction(SIGURG, NULL, &now) == 0 &&
           now.sa_sigaction == on_stop;
}

bool cio__thread_stop(int thread, struct cio__here *here)
{
    if (!cio__stops_by(SIGURG))
        return false;
    __atomic_store_n(&stop, word(thread, ASKED), __ATOMIC_RELEASE);
    bool sent = syscall(SYS_tgkill, getpid(), thread, SIGURG) == 0;
    for (int i = 0; sent && i < STOP_WITHIN_MS / MAIL_MS; i++) {
        if (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == word(thread, STANDING))
            break;
        rest_ms(MAIL_MS);
    }
    if (change(word(thread, ASKED), 0))
        return false;
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) != word(thread, STANDING))
        rest_ms(MAIL_MS);
    *here = stopped_here;
    return true;
}

void cio__thread_go_on(void)
{
    uint64_t standing = __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
    __atomic_store_n(&stop, standing - STANDING + GOING_ON, __ATOMIC_RELEASE);
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) != 0)
        rest_ms(MAIL_MS);
}

/* What the loop that is asked fills. */
enum { NOT_ASKED, WANTED, BEING_TAKEN, TAKEN };
static struct cio__snapshot *wanted;

static void answer(void *arg)
{
    cio_loop *loop = arg;
    int state = WANTED;
    if (!__atomic_compare_exchange_n(&loop->look.state, &state, BEING_TAKEN, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    cio__see_loop(wanted, loop, NULL);
    __atomic_store_n(&loop->look.state, TAKEN, __ATOMIC_RELEASE);
}

/* A loop that did not come to it in time may find the mail later: it then is of no account. */
static bool ask(struct cio__snapshot *snapshot, cio_loop *loop)
{
    wanted = snapshot;
    __atomic_store_n(&loop->look.state, WANTED, __ATOMIC_RELEASE);
    cio_call_soon_threadsafe(loop, &loop->look.handle, answer, loop);
    for (int i = 0; i < ANSWER_WITHIN_MS / MAIL_MS; i++) {
        if (__atomic_load_n(&loop->look.state, __ATOMIC_ACQUIRE) >= BEING_TAKEN)
            break;
        rest_ms(MAIL_MS);
    }
    int state = WANTED;
    if (__atomic_compare_exchange_n(&loop->look.state, &state, NOT_ASKED, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return false;
    while (__atomic_load_n(&loop->look.state, __ATOMIC_ACQUIRE) != TAKEN)
        rest_ms(MAIL_MS);
    return true;
}

void cio__see_other_loop(struct cio__snapshot *snapshot, cio_loop *loop)
{
    struct cio__here here;
    int thread = __atomic_load_n(&loop->thread, __ATOMIC_ACQUIRE);
    if (ask(snapshot, loop))
        return;
    if (!cio__thread_stop(thread, &here)) {
        cio__see_no_answer(snapshot, loop, thread);
        return;
    }
    cio__see_loop(snapshot, loop, &here);
    cio__thread_go_on();
}

/* Such a stack lives as long as its thread. */
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;
static bool have_key;

static void give_back(void *stack)
{
    stack_t there;
    if (sigaltstack(NULL, &there) == 0 && there.ss_sp == stack) {
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
    }
    munmap(stack, HANDLER_STACK);
}

static void make_key(void)
{
    have_key = pthread_key_create(&stack_key, give_back) == 0;
}

void cio__handler_stack_give(void)
{
    stack_t there;
    pthread_once(&stack_once, make_key);
    if (!have_key || sigaltstack(NULL, &there) < 0 || !(there.ss_flags & SS_DISABLE))
        return;
    void *stack = pthread_getspecific(stack_key);
    if (!stack) {
        stack = mmap(NULL, HANDLER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
        if (stack == MAP_FAILED)
            return;
        pthread_setspecific(stack_key, stack);
    }
    stack_t ours = {.ss_sp = stack, .ss_size = HANDLER_STACK};
    sigaltstack(&ours, NULL);
}
