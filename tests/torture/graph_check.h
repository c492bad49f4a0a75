/*
 * What must hold of a random graph that has run: the model of the rules. A part of graphs.c.
 *
 * A child starts a turn after it was created. An await goes on one turn after the end of what it
 * awaits; gather, wait, shield and a group's exit two, because a callback runs between.
 */
#ifndef CIO_TORTURE_GRAPH_CHECK_H
#define CIO_TORTURE_GRAPH_CHECK_H

#include "graph.h"

/* The turns in which an op's children ended. */
struct ends {
    int first, last;
    int first_error; /* INT32_MAX: none */
    int n_before;    /* ended before the turn in which the op went on */
    int n_until;     /* that turn included */
    bool are_known;  /* a child that was canceled before it began has none */
};

static struct ends find_ends(const struct op *op)
{
    struct ends e = {.first = INT32_MAX, .first_error = INT32_MAX, .are_known = true};
    for (int i = 0; i < op->n; i++) {
        const struct node *child = &graph.nodes[op->first + i];
        int end = child->end_turn;
        if (!child->n_begun) {
            e.are_known = false;
            continue;
        }
        CHECK(child->begin_turn == op->began + 1);
        e.first = end < e.first ? end : e.first;
        e.last = end > e.last ? end : e.last;
        if (child->returned < 0 && end < e.first_error)
            e.first_error = end;
        e.n_before += end < op->resumed;
        e.n_until += end <= op->resumed;
    }
    return e;
}

/* Of errors in the same turn each may be the first. */
static bool is_an_error_of_turn(const struct op *op, int when)
{
    for (int i = 0; i < op->n; i++) {
        const struct node *child = &graph.nodes[op->first + i];
        if (child->end_turn == when && child->returned == op->rc)
            return true;
    }
    return false;
}

static void check_calm_wait(const struct op *op, const struct ends *e)
{
    int when = e->last;
    if (op->turns == 0) /* a real timer ended it, or not */
        return;
    if (op->when == CIO_FIRST_COMPLETED)
        when = e->first;
    if (op->when == CIO_FIRST_ERROR && e->first_error < when)
        when = e->first_error;
    CHECK(op->resumed == when + 2);
    CHECK(op->n_done >= e->n_before && op->n_done <= e->n_until);
}

static void check_calm_group(const struct op *op, const struct ends *e)
{
    int body_end = op->began + op->turns;
    CHECK(op->rc == 0);
    if (e->last + 1 > body_end)
        CHECK(op->resumed == e->last + 2);
    else if (e->last + 1 < body_end)
        CHECK(op->resumed == body_end);
    else /* the callback of the last and the body, in either order */
        CHECK(op->resumed == body_end || op->resumed == e->last + 2);
}

static void check_calm_op(const struct op *op)
{
    struct ends e = find_ends(op);
    const struct node *child = &graph.nodes[op->first];
    CHECK(op->is_run && e.are_known);
    switch (op->kind) {
    case YIELD: CHECK(op->rc == 0 && op->resumed == op->began + op->turns); break;
    case AWAIT: CHECK(op->rc == child->end && op->resumed == child->end_turn + 1); break;
    case SHIELD: CHECK(op->rc == child->end && op->resumed == child->end_turn + 2); break;
    case GATHER:
        if (e.first_error < INT32_MAX) {
            CHECK(op->resumed == e.first_error + 2 && is_an_error_of_turn(op, e.first_error));
            break;
        }
        /* fall through */
    case GATHER_ALL: CHECK(op->rc == 0 && op->resumed == e.last + 2); break;
    case WAIT: check_calm_wait(op, &e); break;
    case GROUP: check_calm_group(op, &e); break;
    default: CHECK(op->resumed == op->began);
    }
}

static void check_calm_node(const struct node *n)
{
    int when = n->begin_turn;
    CHECK(n->task && n->n_begun == 1);
    for (int i = 0; i < n->n_ops; i++) {
        CHECK(n->ops[i].began == when);
        check_calm_op(&n->ops[i]);
        when = n->ops[i].resumed;
    }
    CHECK(n->end_turn == when && n->returned == n->end);
    CHECK(cio_result(n->task) == n->end && cio_cancelling(n->task) == 0);
}

/* Cancellation or not, these go on when their children have ended, and never before. */
static void check_wild_op(const struct op *op)
{
    struct ends e = find_ends(op);
    if (!op->is_run || !e.are_known || op->n == 0)
        return;
    if (op->kind == AWAIT)
        CHECK(op->resumed == e.last + 1);
    if (op->kind == GATHER_ALL)
        CHECK(op->resumed == e.last + 2);
    if (op->kind == SHIELD && op->rc != CIO_ECANCELED && op->limit == NO_LIMIT)
        CHECK(op->resumed == e.last + 2);
    if (op->kind == GROUP)
        CHECK(op->resumed >= e.last + 1);
}

/* Every task that was created has ended, once, as it said; or canceled, if somebody had asked. */
static void check_wild_node(const struct node *n)
{
    if (!n->task)
        return;
    int result = cio_result(n->task);
    CHECK(cio_done(n->task) && !n->waits);
    CHECK(n->n_begun <= 1 && n->n_ended == n->n_begun);
    if (!n->n_begun || result != n->returned) /* T15, T17 */
        CHECK(result == CIO_ECANCELED && cio_cancelling(n->task) > 0);
    CHECK(cio_cancelled(n->task) == (result == CIO_ECANCELED));
    CHECK(cio_cancelling(n->task) >= 0);
    for (int i = 0; i < n->n_ops; i++)
        check_wild_op(&n->ops[i]);
}

static void check_graph(void)
{
    for (int i = 0; i < graph.n_nodes; i++) {
        if (!graph.is_wild)
            check_calm_node(&graph.nodes[i]);
        check_wild_node(&graph.nodes[i]);
    }
}

#endif
