/* Snapshots of contexts, and where the current one is. */
#include "loop/vars.h"

#include <errno.h>
#include <pthread.h>

#include <cio/error.h>

#include "os/memory.h"

_Thread_local struct cio__thread_vars cio__thread_vars;
bool cio__vars_used;
bool (*cio__vars_of_task)(struct cio__place *place);

/* A value that is released when nobody has it any more. */
struct owned {
    uint32_t references; /* atomic */
    void (*release)(void *value);
    void *value;
};

/* One variable of a snapshot. Its content is one word, so that it can be changed by one store. */
struct entry {
    const cio_context_var *var;
    void *content; /* its value; if the variable has a release: a struct owned; or &unset */
};

struct cio__vars {
    uint32_t references; /* atomic */
    uint32_t n;
    struct entry entries[];
};

static char unset;

static void hold(const struct entry *entry)
{
    if (entry->var->release && entry->content != &unset)
        __atomic_fetch_add(&((struct owned *)entry->content)->references, 1, __ATOMIC_RELAXED);
}

static void let_go(const cio_context_var *var, void *content)
{
    struct owned *owned = content;
    if (!var->release || content == &unset ||
        __atomic_sub_fetch(&owned->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    owned->release(owned->value);
    cio__free(owned);
}

static void *value_of(const struct entry *entry)
{
    return entry->var->release ? ((struct owned *)entry->content)->value : entry->content;
}

static struct entry *find(struct cio__vars *vars, const cio_context_var *var)
{
    for (uint32_t i = 0; vars && i < vars->n; i++)
        if (vars->entries[i].var == var)
            return &vars->entries[i];
    return NULL;
}

static const struct entry *find_set(struct cio__vars *vars, const cio_context_var *var)
{
    const struct entry *entry = find(vars, var);
    return entry && entry->content != &unset ? entry : NULL;
}

struct cio__vars *cio__vars_share(struct cio__vars *vars)
{
    if (vars)
        __atomic_fetch_add(&vars->references, 1, __ATOMIC_RELAXED);
    return vars;
}

void cio__vars_drop(struct cio__vars *vars)
{
    if (!vars || __atomic_sub_fetch(&vars->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < vars->n; i++)
        let_go(vars->entries[i].var, vars->entries[i].content);
    cio__free(vars);
}

/* ---- places ---- */

/* The current place as it stands: it may refer to another one. */
static struct cio__place outer_place(void)
{
    struct cio__place place;
    bool (*of_task)(struct cio__place *) = __atomic_load_n(&cio__vars_of_task, __ATOMIC_RELAXED);
    if (of_task && of_task(&place))
        return place;
    return (struct cio__place){&cio__thread_vars.vars, &cio__thread_vars, cio__thread_vars.id};
}

static struct cio__place follow(struct cio__place place)
{
    if (*place.at & CIO__PLACE_IS_ELSEWHERE) {
        cio_context *context = (cio_context *)(*place.at & ~CIO__PLACE_IS_ELSEWHERE);
        return (struct cio__place){&context->vars, context, 0};
    }
    return place;
}

static struct cio__place current_place(void)
{
    return follow(outer_place());
}

struct cio__vars *cio__vars_at(struct cio__place place)
{
    return (struct cio__vars *)*follow(place).at;
}

static struct cio__vars *current_vars(void)
{
    return cio__vars_in_use() ? cio__vars_at(outer_place()) : NULL;
}

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void thread_ends(void *thread_vars)
{
    cio__vars_empty(&((struct cio__thread_vars *)thread_vars)->vars);
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, thread_ends) == 0;
}

/* What a thread has set for itself is let go when it ends. */
static void clear_at_the_end(struct cio__thread_vars *here)
{
    pthread_once(&key_once, make_key);
    if (have_key && !pthread_getspecific(key))
        pthread_setspecific(key, here);
}

/* A signal handler that captures sees the old snapshot or the new one, both whole and alive. */
static void put(struct cio__place place, struct cio__vars *vars)
{
    cio__vars_are_used();
    if (place.where == &cio__thread_vars)
        clear_at_the_end(&cio__thread_vars);
    __atomic_store_n(place.at, (uintptr_t)vars, __ATOMIC_RELEASE);
}

struct cio__vars *cio__vars_capture_used(void)
{
    return cio__vars_share(current_vars());
}

void cio__vars_empty(uintptr_t *place)
{
    uintptr_t held = *place;
    *place = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a handler that captures finds nothing or it alive */
    if (!(held & CIO__PLACE_IS_ELSEWHERE))
        cio__vars_drop((struct cio__vars *)held);
}

struct cio__thread_vars cio__vars_enter(struct cio__vars *vars)
{
    struct cio__thread_vars *here = &cio__thread_vars;
    struct cio__thread_vars before = *here;
    here->vars = (uintptr_t)vars;
    here->id = ++here->last_id;
    return before;
}

void cio__vars_leave(struct cio__thread_vars before)
{
    cio__vars_empty(&cio__thread_vars.vars);
    cio__thread_vars.vars = before.vars;
    cio__thread_vars.id = before.id;
}

/* ---- handles ---- */

static struct cio__vars *vars_of(const void *hint)
{
    return (struct cio__vars *)((uintptr_t)hint & ~(CIO__HINT_IS_VARS | CIO__HINT_STAYS));
}

void cio__vars_forget_hint(const void **hint)
{
    struct cio__vars *vars = vars_of(*hint);
    *hint = NULL;
    cio__vars_drop(vars);
}

/* The handle may be gone when the callback returns: one that stays may not, but lends its own. */
void cio__vars_call(cio_callback *fn, void *arg, const void *hint)
{
    struct cio__vars *vars = vars_of(hint);
    if ((uintptr_t)hint & CIO__HINT_STAYS)
        cio__vars_share(vars);
    cio__thread_vars.vars = (uintptr_t)vars;
    cio__thread_vars.id = ++cio__thread_vars.last_id;
    fn(arg);
    cio__vars_end_call();
}

void cio__vars_end_call(void)
{
    cio__thread_vars.id = ++cio__thread_vars.last_id;
    cio__vars_empty(&cio__thread_vars.vars);
}

/* ---- variables ---- */

static uint32_t count_set(const struct cio__vars *vars)
{
    uint32_t n = 0;
    for (uint32_t i = 0; vars && i < vars->n; i++)
        n += vars->entries[i].content != &unset;
    return n;
}

/* A copy with one variable's content replaced; &unset: without it. NULL: no memory. */
static struct cio__vars *changed_copy(const struct cio__vars *vars, const cio_context_var *var,
                                      void *content)
{
    struct cio__vars *copy = cio__alloc(sizeof *copy +
                                        (count_set(vars) + 1) * sizeof copy->entries[0]);
    if (!copy)
        return NULL;
    copy->references = 1;
    copy->n = 0;
    for (uint32_t i = 0; vars && i < vars->n; i++) {
        const struct entry *entry = &vars->entries[i];
        if (entry->var == var || entry->content == &unset)
            continue;
        hold(entry);
        copy->entries[copy->n++] = *entry;
    }
    if (content != &unset)
        copy->entries[copy->n++] = (struct entry){var, content};
    return copy;
}

/* Whether nothing is left of vars without the variable. */
static bool is_all(const struct cio__vars *vars, const struct entry *entry)
{
    return entry && entry->content != &unset && count_set(vars) == 1;
}

/*
 * Changes one variable of the current context to content, and leaves what it had in *before: both
 * with the reference that belongs to it. Returns 0 or -ENOMEM.
 */
static int change(const cio_context_var *var, void *content, void **before)
{
    struct cio__place place = current_place();
    struct cio__vars *vars = (struct cio__vars *)*place.at;
    struct entry *entry = find(vars, var);
    *before = entry ? entry->content : &unset;
    if (content == *before && content == &unset)
        return 0;
    if (entry && __atomic_load_n(&vars->references, __ATOMIC_ACQUIRE) == 1) {
        entry->content = content;
        return 0;
    }
    struct cio__vars *copy = NULL;
    if (content != &unset || !is_all(vars, entry)) {
        copy = changed_copy(vars, var, content);
        if (!copy)
            return -ENOMEM;
    }
    if (entry)
        hold(entry);
    put(place, copy);
    cio__vars_drop(vars);
    return 0;
}

void *cio_context_get(const cio_context_var *var)
{
    if (!var)
        return NULL;
    const struct entry *entry = find_set(current_vars(), var);
    return entry ? value_of(entry) : var->default_value;
}

bool cio_context_has(const cio_context_var *var)
{
    return var && find_set(current_vars(), var);
}

static int set(const cio_context_var *var, void *content, cio_context_token *token)
{
    void *before;
    int rc = change(var, content, &before);
    if (rc < 0)
        return rc;
    if (token) {
        struct cio__place place = current_place();
        *token = (cio_context_token){var, before, place.where, place.id};
    } else {
        let_go(var, before);
    }
    return 0;
}

int cio_context_set(const cio_context_var *var, void *value, cio_context_token *token)
{
    if (!var)
        return -EINVAL;
    if (!var->release)
        return set(var, value, token);
    struct owned *owned = cio__alloc(sizeof *owned);
    if (!owned)
        return -ENOMEM;
    *owned = (struct owned){.references = 1, .release = var->release, .value = value};
    int rc = set(var, owned, token);
    if (rc < 0)
        cio__free(owned);
    return rc;
}

int cio_context_reset(const cio_context_var *var, cio_context_token *token)
{
    if (!var || !token)
        return -EINVAL;
    if (!token->var)
        return CIO_ESTATE;
    struct cio__place place = current_place();
    if (token->var != var || token->where != place.where || token->where_id != place.id)
        return -EINVAL;
    void *now;
    int rc = change(var, token->before, &now);
    if (rc < 0)
        return rc;
    token->var = NULL;
    let_go(var, now);
    return 0;
}

void cio_context_forget(cio_context_token *token)
{
    if (!token || !token->var)
        return;
    const cio_context_var *var = token->var;
    token->var = NULL;
    let_go(var, token->before);
}

/* ---- contexts apart ---- */

int cio_context_copy(cio_context *context)
{
    if (!context)
        return -EINVAL;
    context->vars = (uintptr_t)cio__vars_capture();
    return 0;
}

int cio_context_run(cio_context *context, cio_coroutine *fn, void *arg)
{
    if (!context || !fn)
        return -EINVAL;
    uintptr_t *place = outer_place().at;
    uintptr_t before = *place;
    cio__vars_are_used();
    __atomic_store_n(place, (uintptr_t)context | CIO__PLACE_IS_ELSEWHERE, __ATOMIC_RELEASE);
    int rc = fn(arg);
    __atomic_store_n(place, before, __ATOMIC_RELEASE);
    return rc;
}

void *cio_context_get_in(const cio_context *context, const cio_context_var *var)
{
    if (!var)
        return NULL;
    const struct entry *entry = context ? find_set((struct cio__vars *)context->vars, var) : NULL;
    return entry ? value_of(entry) : var->default_value;
}

int cio_context_each(const cio_context *context,
                     bool (*fn)(const cio_context_var *var, void *value, void *arg), void *arg)
{
    const struct cio__vars *vars = context ? (const struct cio__vars *)context->vars
                                           : current_vars();
    if (!fn)
        return (int)count_set(vars);
    int called = 0;
    bool go_on = true;
    for (uint32_t i = 0; vars && i < vars->n && go_on; i++) {
        if (vars->entries[i].content == &unset)
            continue;
        go_on = fn(vars->entries[i].var, value_of(&vars->entries[i]), arg);
        called++;
    }
    return called;
}

void cio_context_clear(cio_context *context)
{
    if (context)
        cio__vars_empty(&context->vars);
}
