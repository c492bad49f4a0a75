/* Task groups. scenario_groups.py is the twin. */
#include <stdio.h>
#include <string.h>

#include "trace.h"

typedef int body_fn(cio_group *group);

/* A group of these works, whose body may go on; says how it ends and with which errors. */
typedef struct grouping {
    work works[4];
    body_fn *body;
} grouping;

static int grouped(void *arg)
{
    grouping *what = arg;
    cio_group g;
    char text[64] = "";
    cio_group_enter(&g);
    for (int i = 0; i < 4 && what->works[i].name; i++)
        cio_group_start(&g, do_work, &what->works[i]);
    int rc = cio_group_exit(&g, what->body ? what->body(&g) : 0);
    if (g.error_count)
        strcpy(text, "; errors:");
    for (int i = 0; i < g.error_count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, " %d", -g.errors[i]);
    }
    say("group: %s%s", how(rc), text);
    return rc;
}

static int requests(void)
{
    return cio_cancelling(cio_current_task());
}

SCENARIO(group_waits_for_its_children)
{
    return grouped(&(grouping){.works = {{"a", 3}, {"b", 1}, {"c", 5}}});
}

SCENARIO(group_without_children)
{
    grouped(&(grouping){.body = NULL});
    say("at once");
    return 0;
}

static int body_of_four_turns(cio_group *g)
{
    (void)g;
    wait_turns(4);
    say("body ends");
    return 0;
}

SCENARIO(group_whose_children_are_done)
{
    return grouped(&(grouping){{{"a", 1}, {"b", 0}}, body_of_four_turns});
}

SCENARIO(a_failing_child_cancels_the_others)
{
    grouping g = {.works = {{"a", FOREVER}, {"b", 2, -5}, {"c", FOREVER, .cleanup = 2}}};
    say("%s", how(grouped(&g)));
    return 0;
}

static int body_is_canceled(cio_group *g)
{
    (void)g;
    say("body: %s", how(wait_turns(FOREVER)));
    say("requests %d", requests());
    return CIO_ECANCELED;
}

SCENARIO(a_failing_child_cancels_the_body)
{
    say("%s", how(grouped(&(grouping){{{"a", FOREVER}, {"b", 2, -5}}, body_is_canceled})));
    say("requests %d", requests());
    say("goes on: %s", how(cio_yield()));
    return 0;
}

static int body_swallows(cio_group *g)
{
    (void)g;
    say("body: %s", how(wait_turns(FOREVER)));
    say("body: %s", how(wait_turns(2)));
    return 0;
}

SCENARIO(a_body_that_swallows)
{
    grouping g = {{{"a", FOREVER, .cleanup = 5}, {"b", 2, -5}}, body_swallows};
    say("%s", how(grouped(&g)));
    say("requests %d", requests());
    return 0;
}

SCENARIO(errors_of_several_children)
{
    grouping g = {.works = {{"a", 3, -1}, {"b", 1, -2}, {"c", FOREVER, -3, 1, true}}};
    say("%s", how(grouped(&g)));
    return 0;
}

SCENARIO(errors_in_one_turn)
{
    say("%s", how(grouped(&(grouping){.works = {{"a", 1, -1}, {"b", 1, -2}, {"c", 1, -3}}})));
    return 0;
}

static int body_fails_later(cio_group *g)
{
    (void)g;
    wait_turns(2);
    return -8;
}

SCENARIO(a_body_that_fails)
{
    say("%s", how(grouped(&(grouping){{{"a", FOREVER}, {"b", 9, 1}}, body_fails_later})));
    say("requests %d", requests());
    return 0;
}

static int body_fails(cio_group *g)
{
    (void)g;
    return -8;
}

SCENARIO(a_body_that_fails_at_once)
{
    say("%s", how(grouped(&(grouping){{{"a", FOREVER}}, body_fails})));
    return 0;
}

static int body_cancels_a_child(cio_group *g)
{
    static work x = {.name = "x", .turns = FOREVER};
    cio_task *other = cio_group_start(g, do_work, &x);
    wait_turns(2);
    cio_cancel(other);
    return 0;
}

SCENARIO(a_canceled_child_is_no_error)
{
    return grouped(&(grouping){{{"a", 5}}, body_cancels_a_child});
}

static int quits(void *arg)
{
    (void)arg;
    wait_turns(1);
    return CIO_ECANCELED;
}

static int body_starts_a_quitter(cio_group *g)
{
    cio_group_start(g, quits, NULL);
    return 0;
}

SCENARIO(a_child_that_quits_is_no_error)
{
    return grouped(&(grouping){{{"a", 5}}, body_starts_a_quitter});
}

static int body_waits(cio_group *g)
{
    (void)g;
    return wait_turns(FOREVER);
}

/* Runs it in a task, which is canceled after so many turns. */
static int cancel_after(int turns, grouping *g)
{
    cio_task *task = cio_create_task(grouped, g);
    wait_turns(turns);
    cio_cancel(task);
    say("task: %s", how(cio_await(cio_ref(task))));
    say("requests %d", cio_cancelling(task));
    return cio_detach(task);
}

SCENARIO(group_canceled_in_the_body)
{
    return cancel_after(3, &(grouping){{{"a", FOREVER}, {"b", FOREVER, .cleanup = 3}}, body_waits});
}

SCENARIO(group_canceled_in_the_exit)
{
    return cancel_after(3, &(grouping){{{"a", FOREVER}, {"b", FOREVER, .cleanup = 3}}, NULL});
}

SCENARIO(group_canceled_twice_in_the_exit)
{
    grouping g = {.works = {{"a", FOREVER, .cleanup = 9},
                            {"b", FOREVER, .cleanup = 1},
                            {"c", FOREVER, 2, 6, true}}};
    cio_task *task = cio_create_task(grouped, &g);
    wait_turns(3);
    cio_cancel(task);
    wait_turns(3);
    say("again");
    cio_cancel(task);
    say("task: %s", how(cio_await(cio_ref(task))));
    say("requests %d", cio_cancelling(task));
    return cio_detach(task);
}

SCENARIO(group_canceled_while_it_aborts)
{
    grouping g = {.works = {{"a", FOREVER, .cleanup = 6}, {"b", 1, -5}}};
    cio_task *task = cio_create_task(grouped, &g);
    wait_turns(5);
    say("cancel");
    cio_cancel(task);
    say("task: %s", how(cio_await(task)));
    return 0;
}

static int both_at_once(void *arg)
{
    (void)arg;
    grouping g = {.works = {{"a", FOREVER}, {"b", FOREVER, -5, .swallows = true}}};
    say("both: %s", how(grouped(&g)));
    say("requests %d", requests());
    say("next wait: %s", how(cio_yield()));
    say("next wait: %s", how(cio_yield()));
    say("requests %d", requests());
    return 0;
}

SCENARIO(a_cancellation_and_an_error_at_once)
{
    cio_task *task = cio_create_task(both_at_once, NULL);
    wait_turns(4);
    cio_cancel(task);
    return cio_await(task);
}

SCENARIO(a_failure_in_the_exit_leaves_no_request)
{
    say("%s", how(grouped(&(grouping){.works = {{"a", FOREVER}, {"b", 2, -5}}})));
    say("requests %d", requests());
    say("next wait: %s", how(cio_yield()));
    return 0;
}

static int canceled_while_it_aborts(void *arg)
{
    (void)arg;
    grouping g = {.works = {{"a", FOREVER, .cleanup = 6}, {"b", 1, -5}}};
    say("it: %s", how(grouped(&g)));
    say("requests %d", requests());
    say("next wait: %s", how(cio_yield()));
    say("next wait: %s", how(cio_yield()));
    return 0;
}

SCENARIO(a_cancellation_while_it_aborts_is_kept)
{
    cio_task *task = cio_create_task(canceled_while_it_aborts, NULL);
    wait_turns(6);
    cio_cancel(task);
    return cio_await(task);
}

SCENARIO(children_that_swallow)
{
    grouping g = {.works = {{"a", FOREVER, 1, 2, true}, {"b", 1, -5}, {"c", FOREVER, 3, 0, true}}};
    say("%s", how(grouped(&g)));
    return 0;
}

static int body_starts_late(cio_group *g)
{
    static work late = {.name = "late", .turns = 1};
    say("body: %s", how(wait_turns(FOREVER)));
    if (!cio_group_start(g, do_work, &late) && cio_last_error() == CIO_ESHUTDOWN)
        say("too late");
    return 0;
}

SCENARIO(start_while_it_aborts)
{
    say("%s", how(grouped(&(grouping){{{"a", 2, -5}}, body_starts_late})));
    return 0;
}

typedef struct parent {
    cio_group *group;
    int depth;
} parent;

static int starts_children(void *arg)
{
    static parent below[3];
    static work leaves[4];
    parent *p = arg;
    int depth = p->depth;
    say("child %d", depth);
    wait_turns(1);
    if (depth) {
        below[depth - 1] = (parent){p->group, depth - 1};
        leaves[depth] = (work){.name = "leaf", .turns = depth};
        cio_group_start(p->group, starts_children, &below[depth - 1]);
        cio_group_start(p->group, do_work, &leaves[depth]);
    }
    return 0;
}

static int body_starts_a_parent(cio_group *g)
{
    static parent top;
    top = (parent){g, 3};
    cio_group_start(g, starts_children, &top);
    say("body ends");
    return 0;
}

SCENARIO(a_child_starts_children)
{
    return grouped(&(grouping){.body = body_starts_a_parent});
}

static int body_groups(cio_group *g)
{
    (void)g;
    int rc = grouped(&(grouping){.works = {{"c", 4}, {"d", 2}}});
    say("inner is over");
    return rc;
}

SCENARIO(a_group_in_a_group)
{
    return grouped(&(grouping){{{"a", 3}, {"b", 8}}, body_groups});
}

static int body_group_fails(cio_group *g)
{
    (void)g;
    return grouped(&(grouping){.works = {{"c", FOREVER}, {"d", 2, -6}}});
}

SCENARIO(the_inner_group_fails)
{
    say("%s", how(grouped(&(grouping){{{"a", FOREVER, .cleanup = 2}}, body_group_fails})));
    return 0;
}

static int body_groups_forever(cio_group *g)
{
    (void)g;
    return grouped(&(grouping){.works = {{"c", FOREVER, .cleanup = 3}, {"d", FOREVER}}});
}

SCENARIO(the_outer_group_fails)
{
    say("%s", how(grouped(&(grouping){{{"a", 3, -7}}, body_groups_forever})));
    say("requests %d", requests());
    say("goes on: %s", how(cio_yield()));
    return 0;
}

static int body_handles_the_failure(cio_group *g)
{
    (void)g;
    say("inner: %s", how(grouped(&(grouping){.works = {{"c", FOREVER}, {"d", 1, -6}}})));
    say("goes on: %s", how(cio_yield()));
    return 0;
}

SCENARIO(the_inner_failure_is_handled)
{
    return grouped(&(grouping){{{"a", 7}}, body_handles_the_failure});
}

static int body_starts_a_group(cio_group *g)
{
    static grouping child = {.works = {{"c", FOREVER, .cleanup = 2}, {"d", FOREVER}}};
    cio_group_start(g, grouped, &child);
    return 0;
}

SCENARIO(a_group_in_a_child)
{
    say("%s", how(grouped(&(grouping){{{"a", 4, -5}, {"b", FOREVER}}, body_starts_a_group})));
    return 0;
}

static int body_fails_after_three(cio_group *g)
{
    (void)g;
    return wait_turns(3) < 0 ? CIO_ECANCELED : -9;
}

SCENARIO(the_body_and_a_child_fail_in_one_turn)
{
    say("%s", how(grouped(&(grouping){{{"a", 2, -5}, {"b", FOREVER}}, body_fails_after_three})));
    return 0;
}

static int body_awaits_a_child(cio_group *g)
{
    static work x = {.name = "x", .turns = 3, .end = 4};
    cio_task *child = cio_ref(cio_group_start(g, do_work, &x));
    say("x: %s", how(cio_await(cio_ref(child))));
    say("%s", how(cio_result(child)));
    return cio_detach(child);
}

SCENARIO(a_child_is_awaited_in_the_body)
{
    return grouped(&(grouping){{{"a", 1}, {"b", 6}}, body_awaits_a_child});
}

static int body_awaits_a_failing_child(cio_group *g)
{
    static work x = {.name = "x", .turns = 3, .end = -4};
    say("x: %s", how(cio_await(cio_ref(cio_group_start(g, do_work, &x)))));
    return CIO_ECANCELED;
}

SCENARIO(a_failing_child_is_awaited_in_the_body)
{
    say("%s", how(grouped(&(grouping){{{"a", 1}, {"b", 6}}, body_awaits_a_failing_child})));
    say("goes on: %s", how(cio_yield()));
    return 0;
}

static int body_gathers(cio_group *g)
{
    static work works[] = {{.name = "x", .turns = 4, .end = 1},
                           {.name = "y", .turns = 4, .end = 1}};
    cio_task *tasks[2];
    for (int i = 0; i < 2; i++)
        tasks[i] = cio_ref(cio_group_start(g, do_work, &works[i]));
    int rc = cio_gather(tasks, 2, 0);
    if (rc < 0)
        say("gather: %s", how(rc));
    return rc;
}

SCENARIO(a_gather_in_the_body)
{
    say("%s", how(grouped(&(grouping){{{"a", 2, -5}}, body_gathers})));
    return 0;
}

static cio_task *outside;

static int body_shields(cio_group *g)
{
    (void)g;
    int rc = cio_shield(cio_ref(outside));
    if (rc < 0)
        say("shield: %s", how(rc));
    return rc;
}

SCENARIO(a_shield_in_the_body)
{
    outside = START("outside", 8, 3);
    say("%s", how(grouped(&(grouping){{{"a", 2, -5}}, body_shields})));
    say("outside: %s", how(cio_await(outside)));
    return 0;
}
