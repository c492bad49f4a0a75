/* The hand-written limit of switching: a ring of stacks and one inline switch, nothing else. It can neither wait nor end in
 * any other order. What a scheduler costs beyond this is its own. */
#include "subject_epoll.h"

#include "subject.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef __x86_64__

enum { STACK_BYTES = 65536, COLOURS = 64, LINE_BYTES = 64, AHEAD = 4 };

struct context {
    void *sp;
    void *fp;
    void *pc;
};

static struct lockstep lockstep;
static struct context *ring;
static struct context *current;
static struct context *end;
static struct context outside;

/* Every register but these three is declared clobbered, so the compiler saves only what is alive. */
static inline __attribute__((always_inline)) void jump(struct context *from, struct context *to)
{
    __asm__ volatile("leaq 0f(%%rip), %%rdx\n\t"
                     "movq %%rsp, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rdx, 16(%0)\n\t"
                     "movq (%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n"
                     "0:\tendbr64"
                     : "+a"(from), "+c"(to)
                     :
                     : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
}

/* The ring has AHEAD entries more than tasks: the prefetch needs no test for its end. */
static __attribute__((noinline)) void hop(void)
{
    struct context *from = current;
    struct context *to = from + 1 == end ? ring : from + 1;
    current = to;
    __builtin_prefetch(to[AHEAD].sp);
    jump(from, to);
}

DEFINE_DEEP(deep, hop())

static int is_deep;

static void run_steps(long steps)
{
    if (is_deep)
        for (long i = 0; i < steps; i++)
            deep((int)i, NULL);
    else
        for (long i = 0; i < steps; i++)
            hop();
}

static void body(void)
{
    run_steps(WARM_STEPS);
    lockstep_begin(&lockstep);
    run_steps(lockstep.steps);
    if (lockstep_end(&lockstep))
        jump(current, &outside);
    for (;;)
        hop(); /* the others still run */
}

/* Entered by a jump: the stack is as after a call. */
static void place(struct context *c, char *stack, long i)
{
    char *top = stack + STACK_BYTES - (i % COLOURS + 1) * LINE_BYTES;
    *c = (struct context){.sp = top - 8, .fp = NULL, .pc = (void *)body};
}

static void run(long n)
{
    size_t bytes = (size_t)n * STACK_BYTES;
    char *stacks = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stacks == MAP_FAILED)
        subject_absent("no room for %ld stacks", n);
    madvise(stacks, bytes, MADV_NOHUGEPAGE);
    ring = calloc((size_t)n + AHEAD, sizeof *ring);
    end = ring + n;
    for (long i = 0; i < n; i++)
        place(&ring[i], stacks + i * STACK_BYTES, i);
    lockstep = lockstep_for(n, 20000000);
    current = ring;
    jump(&outside, ring);
    subject_value("time", lockstep_ns(&lockstep));
    munmap(stacks, bytes);
    free(ring);
}

#else

static int is_deep;

static void run(long n)
{
    (void)n;
    subject_absent("written for x86-64 only");
}

#endif

void bench_switch(long n)
{
    is_deep = 0;
    run(n);
}

void bench_switch_deep(long n)
{
    is_deep = 1;
    run(n);
}
