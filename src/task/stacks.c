/* Stacks. */
#include "task/stacks.h"

#include "loop/loop.h"
#include "os/memory.h"
#include "task/sanitizer.h"

#define SLAB_STACKS 64
#define COLOURS 32     /* tops at one distance from a page's end would share cache sets … */
#define COLOUR_STEP 64 /* … so they begin a cache line apart, within half of a page */
#define TRIM_AFTER_S 1.0
#define TRIM_AT_ONCE 512 /* a system call each: more would hold up the loop */
#define TRIM_REST_AFTER_S 0.01

struct cio__slab {
    struct cio__slab *next;
    struct cio__slab **place; /* what points to it */
    void *pages;
    size_t pages_size;
    int n;
    struct cio__stack stacks[];
};

void cio__stacks_init(struct cio__stacks *stacks, cio_loop *loop, size_t size)
{
    *stacks = (struct cio__stacks){.loop = loop, .trimmer.priority = CIO_PRIORITY_LOW};
    size_t page = cio__page_size();
    stacks->size = (size + page - 1) / page * page;
}

static void enlist(struct cio__slab **list, struct cio__slab *slab)
{
    slab->next = *list;
    slab->place = list;
    if (*list)
        (*list)->place = &slab->next;
    *list = slab;
}

static void free_slab(struct cio__slab *slab)
{
    *slab->place = slab->next;
    if (slab->next)
        slab->next->place = slab->place;
    for (int i = 0; i < slab->n; i++)
        cio__shadow_deregister(slab->stacks[i].valgrind);
    cio__pages_unmap(slab->pages, slab->pages_size);
    cio__free(slab);
}

void cio__stacks_free(struct cio__stacks *stacks)
{
    cio_handle_cancel(&stacks->trimmer);
    while (stacks->slabs)
        free_slab(stacks->slabs);
    while (stacks->singles)
        free_slab(stacks->singles);
}

/* Each stack: its guard page, its bytes, and a page for the colours. */
static size_t stride_of(size_t size)
{
    return size + 2 * cio__page_size();
}

static void lay_out(struct cio__slab *slab, size_t size)
{
    size_t stride = stride_of(size);
    for (int i = 0; i < slab->n; i++) {
        char *end = (char *)slab->pages + stride * (size_t)(i + 1);
        char *bottom = end - stride + cio__page_size();
        slab->stacks[i] = (struct cio__stack){
            .bottom = bottom,
            .size = size,
            .top = end - i % COLOURS * COLOUR_STEP,
            .valgrind = cio__shadow_register(bottom, (size_t)(end - bottom)),
            .single = slab->n == 1,
        };
    }
}

static struct cio__slab *make_slab(size_t size, int n)
{
    size_t stride = stride_of(size);
    struct cio__slab *slab = cio__alloc(sizeof *slab + (size_t)n * sizeof slab->stacks[0]);
    if (!slab)
        return NULL;
    *slab = (struct cio__slab){.pages_size = stride * (size_t)n, .n = n};
    slab->pages = cio__pages_map(slab->pages_size);
    if (!slab->pages) {
        cio__free(slab);
        return NULL;
    }
    if (!cio__pages_guard(slab->pages, stride, n)) {
        cio__pages_unmap(slab->pages, slab->pages_size);
        cio__free(slab);
        return NULL;
    }
    lay_out(slab, size);
    return slab;
}

static bool add_slab(struct cio__stacks *stacks)
{
    struct cio__slab *slab = make_slab(stacks->size, SLAB_STACKS);
    if (!slab)
        return false;
    enlist(&stacks->slabs, slab);
    for (int i = SLAB_STACKS - 1; i >= 0; i--) {
        slab->stacks[i].next = stacks->cold;
        stacks->cold = &slab->stacks[i];
    }
    stacks->cold_count += SLAB_STACKS;
    stacks->made += SLAB_STACKS;
    return true;
}

static struct cio__stack *take_single(struct cio__stacks *stacks, size_t size)
{
    struct cio__slab *slab = make_slab(size, 1);
    if (!slab)
        return NULL;
    enlist(&stacks->singles, slab);
    stacks->made++;
    return &slab->stacks[0];
}

static struct cio__stack *take_cold(struct cio__stacks *stacks)
{
    if (!stacks->cold && !add_slab(stacks))
        return NULL;
    struct cio__stack *stack = stacks->cold;
    stacks->cold = stack->next;
    stacks->cold_count--;
    return stack;
}

struct cio__stack *cio__stack_take_slow(struct cio__stacks *stacks, size_t size)
{
    size_t page = cio__page_size();
    size = (size + page - 1) / page * page;
    if (size && size != stacks->size)
        return take_single(stacks, size);
    return stacks->warm ? cio__stack_take_warm(stacks) : take_cold(stacks);
}

static struct cio__stack *last_kept(const struct cio__stacks *stacks)
{
    struct cio__stack *stack = stacks->warm;
    for (int i = 1; i < CIO__STACKS_KEPT; i++)
        stack = stack->next;
    return stack;
}

/* Never of those that were used last. */
void cio__stacks_chill(struct cio__stacks *stacks, size_t n)
{
    struct cio__stack *before = last_kept(stacks);
    stacks->warm_count -= n;
    stacks->cold_count += n;
    while (n--) {
        struct cio__stack *stack = before->next;
        before->next = stack->next;
        cio__pages_discard(stack->bottom, stack->size + cio__page_size());
        stack->next = stacks->cold;
        stacks->cold = stack;
    }
}

/* How many warm stacks the busiest moment lately did not need. */
static size_t surplus(const struct cio__stacks *stacks)
{
    size_t more = stacks->warm_count > CIO__STACKS_KEPT ? stacks->warm_count - CIO__STACKS_KEPT : 0;
    return stacks->warm_least < more ? stacks->warm_least : more;
}

static void plan_trim(struct cio__stacks *stacks, double delay);

/* The memory of a busy moment halves each time. */
static void trim(void *arg)
{
    struct cio__stacks *stacks = arg;
    size_t rest = surplus(stacks);
    size_t now = rest < TRIM_AT_ONCE ? rest : TRIM_AT_ONCE;
    if (now)
        cio__stacks_chill(stacks, now);
    if (rest > now) {
        stacks->warm_least -= now;
        plan_trim(stacks, TRIM_REST_AFTER_S);
        return;
    }
    stacks->warm_least = (stacks->warm_count + 1) / 2;
    plan_trim(stacks, TRIM_AFTER_S);
}

static void plan_trim(struct cio__stacks *stacks, double delay)
{
    if (stacks->warm_count > CIO__STACKS_KEPT && !cio_handle_pending(&stacks->trimmer))
        cio_call_later(stacks->loop, &stacks->trimmer, delay, trim, stacks);
}

void cio__stack_give_slow(struct cio__stacks *stacks, struct cio__stack *stack)
{
    if (stack->single) {
        stacks->made--;
        free_slab((struct cio__slab *)((char *)stack - offsetof(struct cio__slab, stacks)));
        return;
    }
    cio__stack_give_warm(stacks, stack);
    if (stacks->loop)
        plan_trim(stacks, TRIM_AFTER_S);
}

static const struct cio__stack *find_at(const struct cio__slab *slab, const char *address)
{
    for (; slab; slab = slab->next) {
        const char *pages = slab->pages;
        size_t stride = slab->pages_size / (size_t)slab->n;
        if (address >= pages && address < pages + slab->pages_size)
            return &slab->stacks[(size_t)(address - pages) / stride];
    }
    return NULL;
}

const struct cio__stack *cio__stack_at(const struct cio__stacks *stacks, const void *address)
{
    const struct cio__stack *stack = find_at(stacks->slabs, address);
    return stack ? stack : find_at(stacks->singles, address);
}
