/*
 * What the random graphs of graphs.c consist of, and how they come from a seed. A part of that
 * program, not a header of its own.
 */
#ifndef CIO_TORTURE_GRAPH_H
#define CIO_TORTURE_GRAPH_H

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

enum { MAX_NODES = 48, MAX_OPS = 4, MAX_CHILDREN = 4, MAX_DEPTH = 4 };

enum kind {
    YIELD,      /* some turns */
    AWAIT,      /* one child */
    SHIELD,     /* one child, shielded */
    GATHER,     /* children; the first error ends it */
    GATHER_ALL, /* children; errors are results */
    WAIT,       /* children; then they are left to themselves */
    GROUP,      /* children and a body of some turns */
    LEAVE,      /* a child is left to itself */
    N_CALM_KINDS,
    SLEEP = N_CALM_KINDS, /* a moment, or for ever */
    SHARE,                /* awaits a node further down that somebody else has started */
    CANCEL,               /* any node, itself included */
    AS_COMPLETED,         /* children; some are taken */
    N_KINDS,
};

/* What a task does when a wait is canceled. */
enum answer { OBEYS, CLEANS_UP, SWALLOWS, FAILS, N_ANSWERS };

enum limit { NO_LIMIT, NO_TIME, A_MOMENT, A_MINUTE, N_LIMITS };

struct op {
    enum kind kind;
    enum limit limit; /* the timeout in which it stands */
    int turns;
    int first, n; /* its children: nodes[first] to nodes[first + n - 1] */
    int target;   /* SHARE, CANCEL */
    cio_return_when when;
    bool is_run;
    int began, resumed; /* the turns */
    int rc;
    int n_done; /* WAIT */
};

struct node {
    int depth;
    bool is_in_group;
    struct op ops[MAX_OPS];
    int n_ops;
    enum answer answer;
    int end;        /* what it returns if nothing happens */
    cio_task *task; /* with a reference of its own, until the graph is checked */
    bool waits;
    int n_begun, n_ended;
    int begin_turn, end_turn;
    int returned;
};

static struct {
    uint64_t seed;
    bool is_wild;
    int n_nodes;
    struct node nodes[MAX_NODES];
} graph;

static int turn; /* of the loop */

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #what);                                 \
            print_error("turn %d; replay with CIO_SEED=%" PRIu64 "\n", turn, graph.seed);          \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* splitmix64: the same numbers everywhere. */
static uint64_t random_state;

static int random_below(int n)
{
    random_state += 0x9e3779b97f4a7c15;
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

static int count_children(enum kind kind)
{
    switch (kind) {
    case AWAIT:
    case SHIELD:
    case LEAVE: return 1;
    case GATHER:
    case GATHER_ALL:
    case WAIT:
    case GROUP:
    case AS_COMPLETED: return 1 + random_below(MAX_CHILDREN);
    default: return 0;
    }
}

/* A child's number is above its parent's, and a SHARE's above its own: waits have no cycle. */
static void add_children(const struct node *parent, struct op *op, int n)
{
    op->first = graph.n_nodes;
    op->n = n;
    for (int i = 0; i < n; i++) {
        struct node *child = &graph.nodes[graph.n_nodes++];
        *child = (struct node){.depth = parent->depth + 1, .is_in_group = op->kind == GROUP};
    }
}

static void generate_op(const struct node *parent, struct op *op)
{
    int n_kinds = graph.is_wild ? N_KINDS : N_CALM_KINDS;
    enum kind kind = random_below(n_kinds);
    if (parent->depth == 0 && count_children(kind) == 0) /* not too small a graph */
        kind = AWAIT + random_below(n_kinds - AWAIT);
    int n = count_children(kind);
    if (n > 0 && (parent->depth == MAX_DEPTH || graph.n_nodes + n > MAX_NODES))
        kind = YIELD;
    *op = (struct op){
        .kind = kind,
        .turns = random_below(6),
        .when = random_below(3),
        .target = random_below(MAX_NODES),
    };
    if (graph.is_wild && random_below(100) < 20)
        op->limit = random_below(N_LIMITS);
    if (kind != YIELD)
        add_children(parent, op, n);
}

static void generate_node(struct node *n)
{
    n->n_ops = n->depth == 0 ? MAX_OPS : 1 + random_below(MAX_OPS);
    for (int i = 0; i < n->n_ops; i++)
        generate_op(n, &n->ops[i]);
    n->answer = random_below(N_ANSWERS);
    n->end = random_below(100);
    bool may_fail = graph.is_wild || !n->is_in_group; /* a failing child cancels the others */
    if (may_fail && random_below(100) < 25)
        n->end = -1 - random_below(30);
}

static void generate_graph(uint64_t seed, bool is_wild)
{
    memset(&graph, 0, sizeof graph);
    graph.seed = random_state = seed;
    graph.is_wild = is_wild;
    graph.n_nodes = 1;
    for (int i = 0; i < graph.n_nodes; i++)
        generate_node(&graph.nodes[i]);
}

#endif
