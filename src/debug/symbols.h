/*
 * What an address is: function, file and line; and how the frame that it lies in is left. By
 * elfutils' libdw where it is there when the program runs; else the dynamic linker knows a little.
 *
 * All of this allocates and reads files: not for signal handlers.
 */
#ifndef CIO_DEBUG_SYMBOLS_H
#define CIO_DEBUG_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cio__symbols;

struct cio__symbol {
    const char *function; /* NULL: not known; then it is in `module`, so many bytes on */
    const char *file;     /* without its folders; NULL: not known */
    int line;
    const char *module; /* NULL: not known */
    uintptr_t offset;
    bool ours; /* of the library's sources, as far as the file is known */
};

/* Loads libdw, if it was not looked for before. Says whether it is there. */
bool cio__symbols_load(void);

/* What is mapped now. NULL: no libdw or no memory; it is taken as well, and knows less. */
struct cio__symbols *cio__symbols_open(void);
void cio__symbols_close(struct cio__symbols *symbols);

/* The strings are valid until the close. */
struct cio__symbol cio__symbol_of(struct cio__symbols *symbols, uintptr_t pc);

/* Whether the address lies in the program or a library of it. */
bool cio__is_code(uintptr_t pc);

/* What an unwinder must know of a frame's registers. */
struct cio__frame {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t fp;
    bool fp_known;
};

/* Reads a word of the stack that is unwound. False: it lies elsewhere. */
typedef bool cio__read_word(void *arg, uintptr_t address, uintptr_t *ret_word);

enum cio__step {
    CIO__STEP_DONE,    /* the frame is its caller's now */
    CIO__STEP_END,     /* there is no caller */
    CIO__STEP_UNKNOWN, /* nothing is known of this place, or not enough */
};

/*
 * Steps to the caller by what the compiler says of the place pc. `returned_to`: pc is where a call
 * returns to, and the call stands before it.
 */
enum cio__step cio__symbols_step(struct cio__symbols *symbols, struct cio__frame *frame,
                                 bool returned_to, cio__read_word *read, void *arg);

#endif
