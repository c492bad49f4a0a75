/* Whether waiting without sleeping can pay at all. */
#include "os/spin.h"

#include "os/thread.h"
#include "os/valgrind.h"

/* Nobody else runs on a single processor, or under valgrind, while we do. */
static bool others_run(void)
{
    enum { UNKNOWN, ALONE, OTHERS };
    static int known;
    int state = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (state == UNKNOWN) {
        state = cio__processors() > 1 && !RUNNING_ON_VALGRIND ? OTHERS : ALONE;
        __atomic_store_n(&known, state, __ATOMIC_RELAXED);
    }
    return state == OTHERS;
}

bool cio__spin_begin(struct cio__spin *spin)
{
    if (spin->left > 0) {
        spin->left--;
        return false;
    }
    return others_run();
}
