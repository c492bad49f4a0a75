/*
 * Who called whom on a stack that somebody else has left or is using: by what the compiler says of
 * each place, else by frame pointers.
 */
#include "debug/unwind.h"

#include <string.h>

#define OUTERMOST_FRAME 1024 /* the first frame of a stack is no larger */

/* Frames and what lies between them are read as they are: no sanitizer is asked. */
#define RAW __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

RAW static void copy_words(char *to, const char *from, size_t size)
{
    for (size_t i = 0; i + sizeof(uintptr_t) <= size; i += sizeof(uintptr_t))
        *(volatile uintptr_t *)(to + i) = *(const volatile uintptr_t *)(from + i);
}

void cio__stack_copy(struct cio__stack_copy *copy, struct cio__frame frame, uintptr_t end,
                     char *bytes, size_t room)
{
    uintptr_t begin = frame.sp & ~(sizeof(uintptr_t) - 1);
    size_t size = end > begin ? end - begin : 0;
    if (size > room)
        size = room;
    size &= ~(sizeof(uintptr_t) - 1);
    frame.sp = begin;
    *copy = (struct cio__stack_copy){.frame = frame, .bytes = bytes, .size = size};
    copy_words(bytes, (const char *)begin, size);
}

static bool read_copy(void *arg, uintptr_t address, uintptr_t *ret_word)
{
    const struct cio__stack_copy *copy = arg;
    uintptr_t offset = address - copy->frame.sp;
    if (address < copy->frame.sp || copy->size < sizeof *ret_word ||
        offset > copy->size - sizeof *ret_word)
        return false;
    memcpy(ret_word, copy->bytes + offset, sizeof *ret_word);
    return true;
}

/* Both processors keep the caller's frame pointer where ours points, and where to return above. */
static bool read_pair(const struct cio__stack_copy *copy, uintptr_t fp, uintptr_t *ret_fp,
                      uintptr_t *ret_pc)
{
    return fp % sizeof fp == 0 && read_copy((void *)copy, fp, ret_fp) &&
           read_copy((void *)copy, fp + sizeof fp, ret_pc);
}

static enum cio__step step_by_fp(const struct cio__stack_copy *copy, struct cio__frame *frame)
{
    uintptr_t fp, pc;
    if (!frame->fp_known || frame->fp < frame->sp || !read_pair(copy, frame->fp, &fp, &pc) || !pc)
        return CIO__STEP_END;
    *frame = (struct cio__frame){
        .pc = pc, .sp = frame->fp + 2 * sizeof fp, .fp = fp, .fp_known = true};
    return CIO__STEP_DONE;
}

/* Whether frame pointers lead from here to the outermost frame of the stack. */
static bool leads_out(const struct cio__stack_copy *copy, uintptr_t fp)
{
    uintptr_t end = copy->frame.sp + copy->size;
    uintptr_t next, pc;
    while (read_pair(copy, fp, &next, &pc) && cio__is_code(pc)) {
        if (next == end || (next == 0 && end - fp <= OUTERMOST_FRAME))
            return true;
        if (next <= fp)
            return false;
        fp = next;
    }
    return false;
}

/*
 * The frame pointer is not known of a thread that was found in a system call. The functions of the
 * C library do without; it is the first place further out that looks like one all the way.
 */
static bool guess_fp(const struct cio__stack_copy *copy, struct cio__frame *frame)
{
    uintptr_t end = copy->frame.sp + copy->size;
    if (frame->fp_known)
        return false;
    for (uintptr_t fp = frame->sp; fp + 2 * sizeof fp <= end; fp += sizeof fp) {
        if (!leads_out(copy, fp))
            continue;
        frame->fp = fp;
        return frame->fp_known = true;
    }
    return false;
}

static enum cio__step step(const struct cio__stack_copy *copy, struct cio__symbols *symbols,
                           struct cio__frame *frame, bool returned_to)
{
    enum cio__step step = cio__symbols_step(symbols, frame, returned_to, read_copy, (void *)copy);
    if (step == CIO__STEP_UNKNOWN && guess_fp(copy, frame))
        step = cio__symbols_step(symbols, frame, returned_to, read_copy, (void *)copy);
    return step == CIO__STEP_UNKNOWN ? step_by_fp(copy, frame) : step;
}

int cio__unwind(const struct cio__stack_copy *copy, struct cio__symbols *symbols, uintptr_t *pcs,
                int most)
{
    struct cio__frame frame = copy->frame;
    int n = 0;
    if (!frame.pc)
        return 0;
    while (n < most) {
        pcs[n] = frame.pc - (n > 0);
        n++;
        uintptr_t sp = frame.sp;
        if (step(copy, symbols, &frame, n > 1) == CIO__STEP_END || frame.sp < sp ||
            frame.sp > copy->frame.sp + copy->size)
            break;
    }
    return n;
}

RAW int cio__backtrace(uintptr_t fp, uintptr_t end, uintptr_t *pcs, int most)
{
    int n = 0;
    while (n < most && fp && fp % sizeof fp == 0 && fp + 2 * sizeof fp <= end) {
        uintptr_t next = ((const volatile uintptr_t *)fp)[0];
        uintptr_t pc = ((const volatile uintptr_t *)fp)[1];
        if (!pc)
            break;
        pcs[n++] = pc - 1;
        if (next <= fp)
            break;
        fp = next;
    }
    return n;
}
