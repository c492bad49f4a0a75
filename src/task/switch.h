/*
 * The switch between stacks, inline. It saves the stack pointer, the frame pointer and where to go
 * on, and declares every other register clobbered: the compiler saves what is live, and no call or
 * return is made, so the processor's return predictor stays right.
 *
 * The control words of the floating-point units (rounding, exceptions) belong to the thread, not to
 * the task.
 */
#ifndef CIO_TASK_SWITCH_H
#define CIO_TASK_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#include "task/sanitizer.h"

#if !defined(CIO_SWITCH_SETJMP) && !defined(__x86_64__) && !defined(__aarch64__)
#define CIO_SWITCH_SETJMP 1
#endif

#ifdef CIO_SWITCH_SETJMP
#include <setjmp.h>
#endif

/* Where a task, or the one who resumed it, goes on. */
struct cio__context {
    void *sp;
    void *fp;
    void *pc;
#ifdef CIO_SWITCH_SETJMP
    sigjmp_buf registers;
#endif
};

/*
 * Prepares a context that begins in cio__task_main(context) on the stack from bottom to top, which
 * is aligned to 16 bytes.
 */
void cio__context_begin(struct cio__context *context, void *bottom, void *top);

/* The same, in cio__generator_main(context). */
void cio__context_begin_generator(struct cio__context *context, void *bottom, void *top);

/*
 * Whether this thread has a hardware shadow stack, which would take a switch for an attack. The
 * instruction does nothing where there is none.
 */
static inline int cio__shadow_stack_is_on(void)
{
    uint64_t top = 0;
#ifdef __x86_64__
    __asm__ volatile("rdsspq %0" : "+r"(top));
#elif defined(__aarch64__)
    register uint64_t off __asm__(
        "x16") = 1; /* the guarded control stack's bit: cleared if it is on */
    __asm__ volatile("hint #40" : "+r"(off));
    top = !off;
#endif
    return top != 0;
}

/*
 * Defined by whoever uses contexts: the first function on a new stack; it never returns. Only the
 * assembler refers to it, so link-time optimisation must be told to keep it.
 */
void cio__task_main(struct cio__context *self) __attribute__((noreturn, used));
void cio__generator_main(struct cio__context *self) __attribute__((noreturn, used));

#ifdef CIO_SWITCH_SETJMP

void cio__context_switch(struct cio__context *from, struct cio__context *to);

#elif defined(__x86_64__)

/* Registers that only some builds can name are lost all the same. */
#ifdef __AVX512F__
#define CIO__AVX512_REGISTERS                                                                      \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5",  \
        "k6", "k7"
#else
#define CIO__AVX512_REGISTERS
#endif

static inline __attribute__((always_inline)) void cio__context_switch(struct cio__context *from,
                                                                      struct cio__context *to)
{
    register struct cio__context *from_ __asm__("rax") = from;
    register struct cio__context *to_ __asm__("rcx") = to; /* cio__context_begin() relies on it */
    __asm__ volatile("leaq 0f(%%rip), %%rdx\n\t"
                     "movq %%rsp, 0(%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rdx, 16(%0)\n\t"
                     "movq 0(%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmp *16(%1)\n"
                     "0:\n\t"
                     "endbr64"
                     : "+r"(from_), "+r"(to_)
                     :
                     : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)" CIO__AVX512_REGISTERS, "memory", "cc");
}

#elif defined(__aarch64__)

#ifdef __ARM_FEATURE_SVE
#define CIO__SVE_REGISTERS                                                                         \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",      \
        "p14", "p15"
#else
#define CIO__SVE_REGISTERS
#endif

static inline __attribute__((always_inline)) void cio__context_switch(struct cio__context *from,
                                                                      struct cio__context *to)
{
    register struct cio__context *from_ __asm__("x0") = from;
    register struct cio__context *to_ __asm__("x1") = to; /* cio__context_begin() relies on it */
    __asm__ volatile("adr x9, 0f\n\t"
                     "mov x10, sp\n\t"
                     "stp x10, x29, [%0]\n\t"
                     "str x9, [%0, #16]\n\t"
                     "ldp x10, x29, [%1]\n\t"
                     "ldr x9, [%1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "0:\n\t"
                     "hint #36" /* bti j */
                     : "+r"(from_), "+r"(to_)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
                       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31" CIO__SVE_REGISTERS, "memory", "cc");
}

#endif

/*
 * Between a generator and its consumer the switch is the last thing that a public call does, and
 * what the call returns comes from the other side. So it can go back to the caller by a jump: the
 * processor's return predictor would have the other side's address there, and two mispredicted
 * returns a value cost more than all the rest.
 */
#if defined(__x86_64__) && !defined(CIO_SWITCH_SETJMP) && !defined(CIO__ASAN) && !defined(CIO__TSAN)
#define CIO__HAVE_SWAP 1 /* (the tools want to be told on both sides of a switch) */

/* Goes to `to`, where the last swap returns result; returns the result of the swap back. */
int cio__swap(struct cio__context *from, struct cio__context *to, int result)
    __attribute__((visibility("hidden")));

/* The same, but the last swap there returns cio__generator_left(from), called when it is left. */
int cio__swap_and_tell(struct cio__context *from, struct cio__context *to)
    __attribute__((visibility("hidden")));
int cio__generator_left(struct cio__context *from) __attribute__((used));
#endif

#endif
