/*
 * Who awaits whom, drawn as trees: a task, and below it those that it waits for. A task that stands
 * in several places is followed in the first. What has no beginning, because everybody in it is
 * awaited by another, is a cycle: it is found and named first.
 *
 * Chains may be as long as there are tasks, so nothing here recurses.
 */
#include <stdlib.h>

#include "debug/print.h"

enum mark { UNSEEN, OPEN, CLOSED };

/* What is known of the task of the same place in loop->tasks. */
struct node {
    enum mark mark;
    bool awaited;
    uint8_t next_end; /* of the ends, to be followed next */
    size_t from;      /* the place of the one that led here */
    size_t to;        /* where the search went on from here */
};

#define NOBODY ((size_t)-1)
#define DEEPEST 40 /* indented no further */

struct tree {
    struct cio__out *out;
    const struct cio__seen_loop *loop;
    const struct cio__found *found;
    struct node *nodes;
    bool heading_done;
};

static size_t n_ends(const struct cio__seen_task *task)
{
    size_t n = task->tale.n_ends;
    return n < CIO__TALE_FUTURES ? n : CIO__TALE_FUTURES;
}

/* The place of the next one that the task at `place` waits for; NOBODY: that was all. */
static size_t next_child(struct tree *tree, size_t place)
{
    const struct cio__seen_task *task = &tree->loop->tasks[place];
    struct node *node = &tree->nodes[place];
    while (node->next_end < n_ends(task)) {
        const cio_future *end = task->tale.ends[node->next_end++];
        const struct cio__seen_task *other = cio__find_seen(tree->found, tree->loop->n, end);
        if (other)
            return (size_t)(other - tree->loop->tasks);
    }
    return NOBODY;
}

static void clear(struct tree *tree, bool and_awaited)
{
    for (size_t i = 0; i < tree->loop->n; i++) {
        bool awaited = tree->nodes[i].awaited && !and_awaited;
        tree->nodes[i] = (struct node){.from = NOBODY, .awaited = awaited};
    }
}

static void print_heading_once(struct tree *tree, const char *heading)
{
    if (!tree->heading_done)
        cio__print(tree->out, "%s\n", heading);
    tree->heading_done = true;
}

/* `last` waits for `first`, which led to it. */
static void print_cycle(struct tree *tree, size_t first, size_t last)
{
    print_heading_once(tree, "Cycles: each waits for the next");
    for (size_t i = first;; i = tree->nodes[i].to) {
        cio__print(tree->out, "%s'%s'", i == first ? "  " : " -> ", tree->loop->tasks[i].name);
        if (i == last)
            break;
    }
    cio__print(tree->out, " -> '%s'\n", tree->loop->tasks[first].name);
}

static void find_cycles_from(struct tree *tree, size_t place)
{
    tree->nodes[place].mark = OPEN;
    while (place != NOBODY) {
        size_t child = next_child(tree, place);
        if (child == NOBODY) {
            tree->nodes[place].mark = CLOSED;
            place = tree->nodes[place].from;
        } else if (tree->nodes[child].mark == OPEN) {
            print_cycle(tree, child, place);
        } else if (tree->nodes[child].mark == UNSEEN) {
            tree->nodes[child].mark = OPEN;
            tree->nodes[child].from = place;
            tree->nodes[place].to = child;
            place = child;
        }
    }
}

static void note_awaited(struct tree *tree)
{
    for (size_t i = 0; i < tree->loop->n; i++)
        for (size_t child; (child = next_child(tree, i)) != NOBODY;)
            tree->nodes[child].awaited = true;
}

static void print_node(struct tree *tree, size_t place, int depth, const char *more)
{
    const struct cio__seen_task *task = &tree->loop->tasks[place];
    int indent = 2 + 2 * (depth < DEEPEST ? depth : DEEPEST);
    cio__print(tree->out, "%*s'%s'%s%s%s\n", indent, "", task->name,
               task->wait && task->state != CIO__TASK_READY ? " " : "",
               task->wait && task->state != CIO__TASK_READY ? task->wait : "", more);
}

static void print_tree_from(struct tree *tree, size_t place)
{
    int depth = 0;
    print_node(tree, place, depth, "");
    tree->nodes[place].mark = OPEN;
    while (place != NOBODY) {
        size_t child = next_child(tree, place);
        if (child == NOBODY) {
            place = tree->nodes[place].from;
            depth--;
        } else if (tree->nodes[child].mark != UNSEEN) {
            print_node(tree, child, depth + 1, " (see above)");
        } else {
            tree->nodes[child].mark = OPEN;
            tree->nodes[child].from = place;
            place = child;
            print_node(tree, place, ++depth, "");
        }
    }
}

static bool waits_for_task(struct tree *tree, size_t place)
{
    bool waits = next_child(tree, place) != NOBODY;
    tree->nodes[place].next_end = 0;
    return waits;
}

/* Only those in which somebody waits for another: the rest was listed. */
static void print_trees(struct tree *tree)
{
    tree->heading_done = false;
    for (int awaited = 0; awaited < 2; awaited++) {
        for (size_t i = 0; i < tree->loop->n; i++) {
            const struct node *node = &tree->nodes[i];
            if (node->mark != UNSEEN || node->awaited != (bool)awaited || !waits_for_task(tree, i))
                continue;
            print_heading_once(tree, "Who waits for whom");
            print_tree_from(tree, i);
        }
    }
}

void cio__print_tree(struct cio__out *out, const struct cio__seen_loop *loop,
                     const struct cio__found *found)
{
    struct tree tree = {.out = out, .loop = loop, .found = found};
    tree.nodes = calloc(loop->n + 1, sizeof *tree.nodes);
    if (!tree.nodes)
        return;
    clear(&tree, true);
    for (size_t i = 0; i < loop->n; i++)
        if (tree.nodes[i].mark == UNSEEN)
            find_cycles_from(&tree, i);
    clear(&tree, true);
    note_awaited(&tree);
    clear(&tree, false);
    print_trees(&tree);
    free(tree.nodes);
}
