/* The beginning of a context: the one moment at which there is nothing to go back to. */
#ifdef _FORTIFY_SOURCE
#undef _FORTIFY_SOURCE /* its longjmp() takes a jump to another stack for an attack */
#endif

#include "task/switch.h"

#ifdef CIO_SWITCH_SETJMP

#include <stdint.h>
#include <ucontext.h>

/*
 * What calls setjmp() cannot be inlined. sp, fp and pc are where the caller goes on: they are there
 * for debuggers, which cannot look into a jmp_buf.
 */
__attribute__((noinline)) void cio__context_switch(struct cio__context *from,
                                                   struct cio__context *to)
{
    from->sp = __builtin_dwarf_cfa();
    from->fp = *(void **)__builtin_frame_address(0);
    from->pc = __builtin_return_address(0);
    if (sigsetjmp(from->registers, 0) == 0)
        siglongjmp(to->registers, 1);
}

/* makecontext() passes ints only: a pointer travels as two. */
static void begin(unsigned high, unsigned low)
{
    uintptr_t address = (uintptr_t)((uint64_t)high << 32 | low);
    struct cio__context *self = (struct cio__context *)address;
    ucontext_t *creator = self->pc;
    if (sigsetjmp(self->registers, 0) == 0)
        setcontext(creator);
    cio__task_main(self);
}

/* The stack is entered once by swapcontext(), to leave there what siglongjmp() can return to. */
void cio__context_begin(struct cio__context *context, void *bottom, void *top)
{
    ucontext_t creator, created;
    uint64_t address = (uintptr_t)context;
    getcontext(&created);
    created.uc_stack.ss_sp = bottom;
    created.uc_stack.ss_size = (size_t)((char *)top - (char *)bottom);
    created.uc_link = NULL;
    context->pc = &creator;
    makecontext(&created, (void (*)(void))begin, 2, (unsigned)(address >> 32), (unsigned)address);
    swapcontext(&creator, &created);
}

#else

/*
 * The entry jumps to the first function instead of calling it: a call that is never returned from
 * would upset the processor's prediction of the returns after it. The function finds a return
 * address all the same, at which unwinders are told that the stack ends.
 */
void cio__context_entry(void) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n"
        ".type cio__context_end, @function\n"
        "cio__context_end:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n"
        "nop\n" /* unwinders look one byte before a return address */
        "0:\n"
        "ud2\n"
        ".cfi_endproc\n"
        ".size cio__context_end, .-cio__context_end\n"
        ".globl cio__context_entry\n"
        ".hidden cio__context_entry\n"
        ".type cio__context_entry, @function\n"
        "cio__context_entry:\n"
        "endbr64\n"
        "xorl %ebp, %ebp\n"
        "movq %rcx, %rdi\n"
        "leaq 0b(%rip), %rax\n"
        "pushq %rax\n"
        "jmp cio__task_main\n"
        ".size cio__context_entry, .-cio__context_entry\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".type cio__context_end, %function\n"
        "cio__context_end:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "nop\n" /* unwinders look one instruction before a return address */
        "0:\n"
        "brk #1\n"
        ".cfi_endproc\n"
        ".size cio__context_end, .-cio__context_end\n"
        ".globl cio__context_entry\n"
        ".hidden cio__context_entry\n"
        ".type cio__context_entry, %function\n"
        "cio__context_entry:\n"
        "hint #36\n" /* bti j */
        "mov x29, xzr\n"
        "mov x0, x1\n"
        "adr x30, 0b\n"
        "b cio__task_main\n"
        ".size cio__context_entry, .-cio__context_entry\n");
#endif

void cio__context_begin(struct cio__context *context, void *bottom, void *top)
{
    (void)bottom;
    context->sp = top;
    context->fp = NULL;
    context->pc = (void *)cio__context_entry;
}

#endif
