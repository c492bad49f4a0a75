/*
 * Addresses and frames, by libdw. The library is loaded when it is first needed, so that programs
 * are not linked with it and run where it is missing.
 */
#include "debug/symbols.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef CIO_HAVE_LIBDW

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#define FUNCTIONS(X)                                                                               \
    X(dwfl_begin)                                                                                  \
    X(dwfl_end)                                                                                    \
    X(dwfl_linux_proc_report)                                                                      \
    X(dwfl_report_end)                                                                             \
    X(dwfl_linux_proc_find_elf)                                                                    \
    X(dwfl_build_id_find_debuginfo)                                                                \
    X(dwfl_addrmodule)                                                                             \
    X(dwfl_module_addrname)                                                                        \
    X(dwfl_module_getsrc)                                                                          \
    X(dwfl_lineinfo)                                                                               \
    X(dwfl_module_nextcu)                                                                          \
    X(dwarf_haspc)                                                                                 \
    X(dwarf_getsrc_die)                                                                            \
    X(dwarf_linesrc)                                                                               \
    X(dwarf_lineno)                                                                                \
    X(dwfl_module_eh_cfi)                                                                          \
    X(dwfl_module_dwarf_cfi)                                                                       \
    X(dwarf_cfi_addrframe)                                                                         \
    X(dwarf_frame_cfa)                                                                             \
    X(dwarf_frame_register)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} dw;

static bool loaded;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    bool all = true;
#define LOAD(name) all &= (*(void **)&dw.name = dlsym(library, #name)) != NULL;
    FUNCTIONS(LOAD)
#undef LOAD
    loaded = all;
}

bool cio__symbols_load(void)
{
    pthread_once(&load_once, load);
    return loaded;
}

/* The debug information of a program: in it, or where packages put it; never from the network. */
static int find_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                          const char *file, const char *link, GElf_Word crc, char **ret_name)
{
    return dw.dwfl_build_id_find_debuginfo(module, data, name, base, file, link, crc, ret_name);
}

static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                    char **ret_name, Elf **ret_elf)
{
    return dw.dwfl_linux_proc_find_elf(module, data, name, base, ret_name, ret_elf);
}

static struct cio__symbols *open_dwfl(void)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = find_elf,
                                             .find_debuginfo = find_debuginfo};
    Dwfl *dwfl = dw.dwfl_begin(&callbacks);
    if (!dwfl)
        return NULL;
    if (dw.dwfl_linux_proc_report(dwfl, getpid()) != 0 ||
        dw.dwfl_report_end(dwfl, NULL, NULL) != 0) {
        dw.dwfl_end(dwfl);
        return NULL;
    }
    return (struct cio__symbols *)dwfl;
}

static void close_dwfl(struct cio__symbols *symbols)
{
    dw.dwfl_end((Dwfl *)symbols);
}

/*
 * By looking at every unit that was compiled: the table of their addresses, without which libdw finds
 * no line, is optional, and clang does not write it.
 */
static void look_up_line(Dwfl_Module *module, uintptr_t pc, struct cio__symbol *symbol)
{
    Dwarf_Addr bias;
    for (Dwarf_Die *unit = NULL; (unit = dw.dwfl_module_nextcu(module, unit, &bias));) {
        if (dw.dwarf_haspc(unit, pc - bias) != 1)
            continue;
        Dwarf_Line *line = dw.dwarf_getsrc_die(unit, pc - bias);
        if (!line || dw.dwarf_lineno(line, &symbol->line) != 0)
            return;
        symbol->file = dw.dwarf_linesrc(line, NULL, NULL);
        return;
    }
}

static bool look_up(struct cio__symbols *symbols, uintptr_t pc, struct cio__symbol *symbol)
{
    Dwfl_Module *module = dw.dwfl_addrmodule((Dwfl *)symbols, pc);
    if (!module)
        return false;
    symbol->function = dw.dwfl_module_addrname(module, pc);
    Dwfl_Line *line = dw.dwfl_module_getsrc(module, pc);
    if (line)
        symbol->file = dw.dwfl_lineinfo(line, NULL, &symbol->line, NULL, NULL, NULL);
    else
        look_up_line(module, pc, symbol);
    return symbol->function != NULL;
}

/* The registers that matter, by DWARF's numbers; the processor's pc stands where a call puts it. */
#if defined(__x86_64__)
enum { FP_NUMBER = 6, SP_NUMBER = 7, RETURN_NUMBER = 16 };
#elif defined(__aarch64__)
enum { FP_NUMBER = 29, SP_NUMBER = 31, RETURN_NUMBER = 30 };
#else
enum { FP_NUMBER = -1, SP_NUMBER = -1, RETURN_NUMBER = -1 };
#endif

static bool base_register(const struct cio__frame *frame, Dwarf_Word number, uintptr_t *ret_value)
{
    if (number == (Dwarf_Word)FP_NUMBER && frame->fp_known)
        *ret_value = frame->fp;
    else if (number == (Dwarf_Word)SP_NUMBER)
        *ret_value = frame->sp;
    else
        return false;
    return true;
}

/* The expressions that compilers write for ordinary frames: a register or the CFA, and an offset. */
static bool evaluate(const struct cio__frame *frame, uintptr_t cfa, const Dwarf_Op *ops, size_t n,
                     uintptr_t *ret_value)
{
    uintptr_t value = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t atom = ops[i].atom;
        if (i == 0 && atom == DW_OP_call_frame_cfa) {
            value = cfa;
        } else if (i == 0 && atom == DW_OP_bregx) {
            if (!base_register(frame, ops[i].number, &value))
                return false;
            value += ops[i].number2;
        } else if (i == 0 && atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
            if (!base_register(frame, atom - DW_OP_breg0, &value))
                return false;
            value += ops[i].number;
        } else if (i > 0 && atom == DW_OP_plus_uconst) {
            value += ops[i].number;
        } else {
            return false;
        }
    }
    *ret_value = value;
    return n > 0;
}

/* What a register holds in the caller. */
enum rule { SAVED, SAME, LOST };

struct place {
    const struct cio__frame *frame;
    uintptr_t cfa;
    cio__read_word *read;
    void *arg;
};

static enum rule caller_register(Dwarf_Frame *rules, const struct place *place, int number,
                                 uintptr_t *ret_value)
{
    Dwarf_Op memory[3];
    Dwarf_Op *ops;
    size_t n;
    if (dw.dwarf_frame_register(rules, number, memory, &ops, &n) != 0)
        return LOST;
    if (n == 0)
        return ops == NULL ? SAME : LOST;
    bool is_value = ops[n - 1].atom == DW_OP_stack_value;
    uintptr_t address;
    if (!evaluate(place->frame, place->cfa, ops, is_value ? n - 1 : n, &address))
        return LOST;
    if (is_value)
        *ret_value = address;
    else if (!place->read(place->arg, address, ret_value))
        return LOST;
    return SAVED;
}

static Dwarf_Frame *rules_at(struct cio__symbols *symbols, uintptr_t pc)
{
    Dwfl_Module *module = dw.dwfl_addrmodule((Dwfl *)symbols, pc);
    if (!module)
        return NULL;
    Dwarf_Frame *rules = NULL;
    Dwarf_Addr bias;
    Dwarf_CFI *cfi = dw.dwfl_module_eh_cfi(module, &bias);
    if (cfi && dw.dwarf_cfi_addrframe(cfi, pc - bias, &rules) == 0)
        return rules;
    cfi = dw.dwfl_module_dwarf_cfi(module, &bias);
    if (cfi && dw.dwarf_cfi_addrframe(cfi, pc - bias, &rules) == 0)
        return rules;
    return NULL;
}

/* A pointer that was signed on its way to the stack: the address is in the lower bits. */
static uintptr_t without_signature(uintptr_t pc)
{
#ifdef __aarch64__
    return pc & 0x0000ffffffffffff;
#else
    return pc;
#endif
}

static enum cio__step step_by(Dwarf_Frame *rules, struct cio__frame *frame, cio__read_word *read,
                              void *arg)
{
    struct place place = {.frame = frame, .read = read, .arg = arg};
    Dwarf_Op *ops;
    size_t n;
    if (dw.dwarf_frame_cfa(rules, &ops, &n) != 0 || !evaluate(frame, 0, ops, n, &place.cfa))
        return CIO__STEP_UNKNOWN;
    if (place.cfa <= frame->sp)
        return CIO__STEP_END;
    struct cio__frame caller = {.sp = place.cfa, .fp = frame->fp, .fp_known = frame->fp_known};
    if (caller_register(rules, &place, RETURN_NUMBER, &caller.pc) != SAVED)
        return CIO__STEP_END;
    enum rule rule = caller_register(rules, &place, FP_NUMBER, &caller.fp);
    if (rule != SAME)
        caller.fp_known = rule == SAVED;
    caller.pc = without_signature(caller.pc);
    *frame = caller;
    return caller.pc ? CIO__STEP_DONE : CIO__STEP_END;
}

enum cio__step cio__symbols_step(struct cio__symbols *symbols, struct cio__frame *frame,
                                 bool returned_to, cio__read_word *read, void *arg)
{
    if (!loaded || RETURN_NUMBER < 0 || symbols == NULL)
        return CIO__STEP_UNKNOWN;
    Dwarf_Frame *rules = rules_at(symbols, frame->pc - returned_to);
    if (!rules)
        return CIO__STEP_UNKNOWN;
    enum cio__step step = step_by(rules, frame, read, arg);
    free(rules);
    return step;
}

#else

bool cio__symbols_load(void)
{
    return false;
}

static struct cio__symbols *open_dwfl(void)
{
    return NULL;
}

static void close_dwfl(struct cio__symbols *symbols)
{
    (void)symbols;
}

static bool look_up(struct cio__symbols *symbols, uintptr_t pc, struct cio__symbol *symbol)
{
    (void)symbols, (void)pc, (void)symbol;
    return false;
}

enum cio__step cio__symbols_step(struct cio__symbols *symbols, struct cio__frame *frame,
                                 bool returned_to, cio__read_word *read, void *arg)
{
    (void)symbols, (void)frame, (void)returned_to, (void)read, (void)arg;
    return CIO__STEP_UNKNOWN;
}

#endif

struct cio__symbols *cio__symbols_open(void)
{
    return cio__symbols_load() ? open_dwfl() : NULL;
}

void cio__symbols_close(struct cio__symbols *symbols)
{
    if (symbols)
        close_dwfl(symbols);
}

bool cio__is_code(uintptr_t pc)
{
    Dl_info info;
    return pc && dladdr((void *)pc, &info) != 0;
}

static const char *without_folders(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

/* By the folder that this file was compiled in, if that was said in full. */
static bool is_ours(const char *file)
{
    static const char here[] = __FILE__, inside[] = "debug/symbols.c";
    size_t folder = sizeof here > sizeof inside ? sizeof here - sizeof inside : 0;
    return file && here[0] == '/' && strncmp(file, here, folder) == 0;
}

struct cio__symbol cio__symbol_of(struct cio__symbols *symbols, uintptr_t pc)
{
    struct cio__symbol symbol = {0};
    Dl_info info;
    if (!(symbols && look_up(symbols, pc, &symbol)) && dladdr((void *)pc, &info)) {
        symbol.module = without_folders(info.dli_fname);
        symbol.offset = pc - (uintptr_t)info.dli_fbase;
        if (info.dli_sname)
            symbol.function = info.dli_sname;
    }
    symbol.ours = is_ours(symbol.file);
    symbol.file = without_folders(symbol.file);
    return symbol;
}
