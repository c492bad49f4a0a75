/* How a random graph runs, and what is checked on the way. A part of graphs.c. */
#ifndef CIO_TORTURE_GRAPH_RUN_H
#define CIO_TORTURE_GRAPH_RUN_H

#include "graph.h"

static int run_node(void *arg);

/* Starts it and keeps a reference. The one returned is the caller's to finish, or the group's. */
static cio_task *start_node(int i, cio_group *g)
{
    struct node *n = &graph.nodes[i];
    CHECK(!n->task);
    cio_task *task = g ? cio_group_start(g, run_node, n) : cio_create_task(run_node, n);
    CHECK(task);
    return n->task = cio_ref(task);
}

static void start_children(const struct op *op, cio_future **tasks)
{
    for (int i = 0; i < op->n; i++)
        tasks[i] = start_node(op->first + i, NULL);
}

static bool are_done(const struct op *op)
{
    for (int i = 0; i < op->n; i++) {
        if (!cio_done(graph.nodes[op->first + i].task))
            return false;
    }
    return true;
}

/* A wait of one turn: exactly one, canceled or not; who is canceled has a request for it. */
static int yield_once(struct node *n)
{
    int before = turn;
    n->waits = true;
    int rc = cio_yield();
    CHECK(n->waits && cio_current_task() == n->task);
    n->waits = false;
    CHECK(turn == before + 1);
    CHECK(rc == 0 || rc == CIO_ECANCELED);
    CHECK(rc == 0 || cio_cancelling(n->task) > 0);
    return rc;
}

static int yield_turns(struct node *n, int turns)
{
    int rc = 0;
    for (int i = 0; i < turns && rc == 0; i++)
        rc = yield_once(n);
    return rc;
}

static int run_sleep(const struct op *op)
{
    double seconds = op->turns == 0 ? CIO_FOREVER : 0.0002 * op->turns;
    double end = cio_time(NULL) + seconds;
    int rc = cio_sleep(seconds);
    CHECK(rc == CIO_ECANCELED || (rc == 0 && cio_time(NULL) >= end));
    return rc;
}

/* Canceled or not, it returns only when the task has ended. The node still has its reference. */
static int run_await(cio_task *task)
{
    int rc = cio_await(task);
    CHECK(cio_done(task));
    CHECK(rc == cio_result(task) || rc == CIO_ECANCELED);
    return rc;
}

static int run_gather(const struct op *op)
{
    cio_future *tasks[MAX_CHILDREN];
    cio_result_pair results[MAX_CHILDREN];
    unsigned flags = op->kind == GATHER_ALL ? CIO_RETURN_ERRORS : 0;
    bool is_error_there = false;
    start_children(op, tasks);
    int rc = cio_gather_into(tasks, (size_t)op->n, flags, results);
    for (int i = 0; i < op->n; i++) {
        int end = cio_result(graph.nodes[op->first + i].task);
        CHECK(results[i].rc == end || (results[i].rc == CIO_ESTATE && rc < 0 && flags == 0));
        is_error_there |= end == rc;
    }
    CHECK(rc == 0 || rc == CIO_ECANCELED || (is_error_there && flags == 0));
    if (rc == 0 || flags)
        CHECK(are_done(op));
    return rc;
}

static int run_wait(struct op *op)
{
    cio_future *tasks[MAX_CHILDREN], *before[MAX_CHILDREN];
    start_children(op, tasks);
    memcpy(before, tasks, sizeof before);
    int rc = cio_wait(tasks, (size_t)op->n, op->when, op->turns == 0 ? 0.001 : CIO_FOREVER);
    if (rc < 0)
        CHECK(memcmp(tasks, before, (size_t)op->n * sizeof *tasks) == 0);
    for (int i = 0; i < op->n && rc >= 0; i++)
        CHECK(cio_done(tasks[i]) == (i < rc));
    if (rc >= 0 && op->turns > 0)
        CHECK(op->when == CIO_ALL_COMPLETED ? rc == op->n : rc > 0);
    op->n_done = rc;
    for (int i = 0; i < op->n; i++)
        cio_detach(tasks[i]);
    return rc < 0 ? rc : 0;
}

static int run_as_completed(const struct op *op)
{
    cio_future *tasks[MAX_CHILDREN], *future;
    cio_as_completed it;
    int rc = 1;
    start_children(op, tasks);
    CHECK(cio_as_completed_init(&it, tasks, (size_t)op->n, op->turns == 5 ? 0.001 : 60) == 0);
    for (int i = 0; i < op->turns && rc == 1; i++) {
        rc = cio_next_completed(&it, &future);
        CHECK(rc == 1 || rc == 0 || rc == CIO_ETIMEDOUT || rc == CIO_ECANCELED);
        CHECK(rc != 1 || (cio_done(future) && i < op->n));
        CHECK(rc != 0 || are_done(op));
    }
    cio_as_completed_end(&it);
    for (int i = 0; i < op->n; i++)
        cio_detach(tasks[i]);
    return rc == CIO_ECANCELED ? rc : 0;
}

/* What a group's exit must have kept and must return. */
static void check_group(const struct op *op, const cio_group *g, int rc)
{
    int n_errors = 0;
    bool is_first_there = g->error_count == 0;
    CHECK(are_done(op));
    CHECK(g->unfinished == 0);
    for (int i = 0; i < op->n; i++) {
        int end = cio_result(graph.nodes[op->first + i].task);
        bool is_error = end < 0 && end != CIO_ECANCELED;
        n_errors += is_error;
        is_first_there |= is_error && end == g->errors[0];
    }
    CHECK(g->error_count == n_errors && is_first_there);
    CHECK(rc == (n_errors ? g->errors[0] : rc));
    CHECK(n_errors || rc == 0 || rc == CIO_ECANCELED);
}

static int run_group(struct node *n, const struct op *op)
{
    cio_group g;
    int before = cio_cancelling(n->task);
    CHECK(cio_group_enter(&g) == 0);
    for (int i = 0; i < op->n; i++)
        start_node(op->first + i, &g);
    int rc = cio_group_exit(&g, yield_turns(n, op->turns));
    check_group(op, &g, rc);
    CHECK(cio_cancelling(n->task) >= before);
    return rc;
}

static int run_plain(struct node *n, struct op *op)
{
    switch (op->kind) {
    case YIELD: return yield_turns(n, op->turns);
    case SLEEP: return run_sleep(op);
    case AWAIT: return run_await(start_node(op->first, NULL));
    case SHIELD: return cio_shield(start_node(op->first, NULL));
    case GATHER:
    case GATHER_ALL: return run_gather(op);
    case WAIT: return run_wait(op);
    case AS_COMPLETED: return run_as_completed(op);
    case GROUP: return run_group(n, op);
    case LEAVE: return cio_detach(start_node(op->first, NULL));
    case SHARE:
        if (op->target > n - graph.nodes && graph.nodes[op->target].task)
            return run_await(cio_ref(graph.nodes[op->target].task));
        return 0;
    default: return 0;
    }
}

static int run_cancel(const struct op *op)
{
    const struct node *target = &graph.nodes[op->target];
    if (target->task) {
        bool was_done = cio_done(target->task);
        int before = cio_cancelling(target->task);
        CHECK(cio_cancel(target->task) == !was_done);
        CHECK(cio_cancelling(target->task) == before + !was_done);
    }
    return 0;
}

/* T36: it timed out only if nobody else asked for the cancellation. */
static int run_limited(struct node *n, struct op *op)
{
    static const double seconds[] = {[NO_TIME] = 0, [A_MOMENT] = 0.0005, [A_MINUTE] = 60};
    cio_timeout t;
    int before = cio_cancelling(n->task);
    CHECK(cio_timeout_enter(&t, seconds[op->limit]) == 0);
    int body = run_plain(n, op);
    bool was_expired = cio_timeout_expired(&t);
    int cancelling = cio_cancelling(n->task);
    int rc = cio_timeout_exit(&t, body);
    CHECK(cio_timeout_expired(&t) == was_expired);
    CHECK(cio_cancelling(n->task) == cancelling - was_expired);
    CHECK(cio_cancelling(n->task) >= before);
    bool times_out = was_expired && body == CIO_ECANCELED && cancelling - 1 == before;
    CHECK(rc == (times_out ? CIO_ETIMEDOUT : body));
    CHECK(!cio_handle_pending(&t.handle));
    return rc;
}

static int run_op(struct node *n, struct op *op)
{
    op->is_run = true;
    op->began = turn;
    if (op->kind == CANCEL)
        op->rc = run_cancel(op);
    else
        op->rc = op->limit == NO_LIMIT ? run_plain(n, op) : run_limited(n, op);
    op->resumed = turn;
    CHECK(cio_current_task() == n->task);
    return op->rc;
}

static int end_node(struct node *n, int rc)
{
    n->n_ended++;
    n->end_turn = turn;
    n->returned = rc;
    return rc;
}

static int run_node(void *arg)
{
    struct node *n = arg;
    n->n_begun++;
    n->begin_turn = turn;
    CHECK(n->n_begun == 1 && cio_current_task() == n->task);
    for (int i = 0; i < n->n_ops; i++) {
        if (run_op(n, &n->ops[i]) != CIO_ECANCELED || n->answer == SWALLOWS)
            continue;
        if (n->answer == CLEANS_UP)
            yield_turns(n, 3);
        return end_node(n, n->answer == FAILS ? -EIO : CIO_ECANCELED);
    }
    return end_node(n, n->end);
}

#endif
