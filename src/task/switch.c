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
    void (*main)(struct cio__context *) = (void (*)(struct cio__context *))self->fp;
    if (sigsetjmp(self->registers, 0) == 0)
        setcontext(creator);
    main(self);
}

/* The stack is entered once by swapcontext(), to leave there what siglongjmp() can return to. */
static void begin_in(void (*main)(struct cio__context *), struct cio__context *context,
                     void *bottom, void *top)
{
    ucontext_t creator, created;
    uint64_t address = (uintptr_t)context;
    context->fp = (void *)main;
    getcontext(&created);
    created.uc_stack.ss_sp = bottom;
    created.uc_stack.ss_size = (size_t)((char *)top - (char *)bottom);
    created.uc_link = NULL;
    context->pc = &creator;
    makecontext(&created, (void (*)(void))begin, 2, (unsigned)(address >> 32), (unsigned)address);
    swapcontext(&creator, &created);
}

void cio__context_begin(struct cio__context *context, void *bottom, void *top)
{
    begin_in(cio__task_main, context, bottom, top);
}

void cio__context_begin_generator(struct cio__context *context, void *bottom, void *top)
{
    begin_in(cio__generator_main, context, bottom, top);
}

#else

/*
 * The entry jumps to the first function instead of calling it: a call that is never returned from
 * would upset the processor's prediction of the returns after it. The function finds a return
 * address all the same, at which unwinders are told that the stack ends.
 */
void cio__context_entry(void) __attribute__((visibility("hidden")));
void cio__generator_entry(void) __attribute__((visibility("hidden")));

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
        ".macro CIO_ENTRY name, main\n"
        ".globl \\name\n"
        ".hidden \\name\n"
        ".type \\name, @function\n"
        "\\name:\n"
        "endbr64\n"
        "xorl %ebp, %ebp\n"
        "movq %rcx, %rdi\n"
        "leaq 0b(%rip), %rax\n"
        "pushq %rax\n"
        "jmp \\main\n"
        ".size \\name, .-\\name\n"
        ".endm\n"
        "CIO_ENTRY cio__context_entry, cio__task_main\n"
        "CIO_ENTRY cio__generator_entry, cio__generator_main\n");

#ifdef CIO__HAVE_SWAP
/*
 * The saved registers lie on the stack that is left; rbp is in the context, as always. Where the
 * second one calls, on the other stack, what lies there looks the same.
 */
__asm__(".text\n"
        ".macro CIO_SAVE name\n"
        ".globl \\name\n"
        ".hidden \\name\n"
        ".type \\name, @function\n"
        "\\name:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "pushq %rbx\n"
        "pushq %r12\n"
        "pushq %r13\n"
        "pushq %r14\n"
        "pushq %r15\n"
        ".cfi_def_cfa_offset 48\n"
        ".cfi_offset rbx, -16\n"
        ".cfi_offset r12, -24\n"
        ".cfi_offset r13, -32\n"
        ".cfi_offset r14, -40\n"
        ".cfi_offset r15, -48\n"
        "leaq cio__swapped(%rip), %rcx\n"
        "movq %rsp, 0(%rdi)\n"
        "movq %rbp, 8(%rdi)\n"
        "movq %rcx, 16(%rdi)\n"
        "movq 0(%rsi), %rsp\n"
        "movq 8(%rsi), %rbp\n"
        ".endm\n"

        "CIO_SAVE cio__swap_and_tell\n"
        "call cio__generator_left\n"
        "jmp cio__swapped\n"
        ".cfi_endproc\n"
        ".size cio__swap_and_tell, .-cio__swap_and_tell\n"

        "CIO_SAVE cio__swap\n"
        "movq %rsi, %rcx\n" /* for the entry */
        "movl %edx, %eax\n"
        "jmp *16(%rsi)\n"
        "cio__swapped:\n"
        "endbr64\n"
        "popq %r15\n"
        "popq %r14\n"
        "popq %r13\n"
        "popq %r12\n"
        "popq %rbx\n"
        ".cfi_def_cfa_offset 8\n"
        "popq %rcx\n"
        ".cfi_def_cfa_offset 0\n"
        ".cfi_register rip, rcx\n"
        "notrack jmp *%rcx\n"
        ".cfi_endproc\n"
        ".size cio__swap, .-cio__swap\n");
#endif
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
        ".macro CIO_ENTRY name, main\n"
        ".globl \\name\n"
        ".hidden \\name\n"
        ".type \\name, %function\n"
        "\\name:\n"
        "hint #36\n" /* bti j */
        "mov x29, xzr\n"
        "mov x0, x1\n"
        "adr x30, 0b\n"
        "b \\main\n"
        ".size \\name, .-\\name\n"
        ".endm\n"
        "CIO_ENTRY cio__context_entry, cio__task_main\n"
        "CIO_ENTRY cio__generator_entry, cio__generator_main\n");
#endif

void cio__context_begin(struct cio__context *context, void *bottom, void *top)
{
    (void)bottom;
    context->sp = top;
    context->fp = NULL;
    context->pc = (void *)cio__context_entry;
}

void cio__context_begin_generator(struct cio__context *context, void *bottom, void *top)
{
    cio__context_begin(context, bottom, top);
    context->pc = (void *)cio__generator_entry;
}

#endif
