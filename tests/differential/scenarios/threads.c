/* Jobs of threads, and tasks for threads. scenario_threads.py is the twin. */
#include <semaphore.h>

#include "trace.h"

/* A thread says nothing by itself: what it did is told when it is known. */
struct gate {
    sem_t begun, open;
    int result;
    bool done;
};

static void gate_init(struct gate *gate, int result)
{
    sem_init(&gate->begun, 0, 0);
    sem_init(&gate->open, 0, 0);
    gate->result = result;
    gate->done = false;
}

static int pass(void *arg)
{
    struct gate *gate = arg;
    sem_post(&gate->begun);
    sem_wait(&gate->open);
    gate->done = true;
    return gate->result;
}

static int give(void *arg)
{
    return *(int *)arg;
}

SCENARIO_TIMED(to_thread_results)
{
    int number = 3;
    say("%s", how(cio_to_thread(give, &number)));
    number = -4;
    say("%s", how(cio_to_thread(give, &number)));
    number = 5;
    say("%s", how(cio_to_thread(give, &number)));
    return 0;
}

static cio_executor *one_thread(void)
{
    return cio_executor_new(&(cio_executor_options){.max_threads = 1});
}

SCENARIO_TIMED(a_queued_job_is_canceled)
{
    struct gate gate;
    int number = 2, other = 3;
    cio_executor *executor = one_thread();
    gate_init(&gate, 1);
    cio_future *running = cio_run_in_executor(executor, pass, &gate);
    sem_wait(&gate.begun);
    cio_future *canceled = cio_run_in_executor(executor, give, &number);
    cio_future *kept = cio_run_in_executor(executor, give, &other);
    say("cancel %d", cio_cancel(canceled));
    say("again %d", cio_cancel(canceled));
    say("canceled: %s", how(cio_await(canceled)));
    say("running: %d, kept: %d", cio_done(running), cio_done(kept));
    sem_post(&gate.open);
    say("running: %s", how(cio_await(running)));
    say("kept: %s", how(cio_await(kept)));
    cio_executor_shutdown(executor, 0);
    return cio_executor_free(executor);
}

SCENARIO_TIMED(a_running_job_is_canceled)
{
    struct gate gate;
    cio_executor *executor = one_thread();
    gate_init(&gate, 1);
    cio_future *running = cio_run_in_executor(executor, pass, &gate);
    sem_wait(&gate.begun);
    say("cancel %d", cio_cancel(running));
    say("running: %s", how(cio_await(running)));
    say("done %d", gate.done);
    sem_post(&gate.open);
    cio_executor_shutdown(executor, 0);
    say("done %d", gate.done);
    return cio_executor_free(executor);
}

SCENARIO_TIMED(an_executor_is_shut_down_with_queued_jobs)
{
    struct gate gate;
    int number = 2;
    cio_executor *executor = one_thread();
    gate_init(&gate, 1);
    cio_future *running = cio_run_in_executor(executor, pass, &gate);
    sem_wait(&gate.begun);
    cio_future *queued = cio_run_in_executor(executor, give, &number);
    cio_executor_shutdown(executor, CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT);
    say("queued: %s", how(cio_await(queued)));
    sem_post(&gate.open);
    say("running: %s", how(cio_await(running)));
    say("refused %d", cio_run_in_executor(executor, give, &number) == NULL);
    return cio_executor_free(executor);
}

SCENARIO_TIMED(after_the_default_executors_shutdown)
{
    int number = 1;
    say("%s", how(cio_to_thread(give, &number)));
    cio_shutdown_default_executor(60);
    say("refused %d", cio_to_thread(give, &number) == CIO_ESHUTDOWN);
    say("refused %d", cio_run_in_executor(NULL, give, &number) == NULL);
    return 0;
}

/* ---- tasks for threads ---- */

static int coroutine(void *arg)
{
    say("coroutine begins");
    int rc = cio_sleep(0.0001);
    say("coroutine ends: %s", how(rc));
    return *(int *)arg;
}

static int forever(void *arg)
{
    say("forever begins");
    sem_post(arg);
    int rc = cio_sleep(CIO_FOREVER);
    say("forever: %s", how(rc));
    return rc;
}

static int calls(void *arg)
{
    return cio_call_threadsafe(NULL, coroutine, arg);
}

SCENARIO_TIMED(a_job_calls_a_coroutine)
{
    int number = 7;
    say("%s", how(cio_to_thread(calls, &number)));
    number = -8;
    say("%s", how(cio_to_thread(calls, &number)));
    return 0;
}

static int starts_and_cancels(void *arg)
{
    cio_remote *remote = cio_run_threadsafe(NULL, forever, arg);
    sem_wait(arg);
    cio_remote_cancel(remote);
    return cio_remote_join(remote) == CIO_ECANCELED ? 1 : 2;
}

static int waits_in_vain(void *arg)
{
    cio_remote *remote = cio_run_threadsafe(NULL, forever, arg);
    int rc = cio_remote_wait(remote, 0.001);
    sem_wait(arg);
    cio_remote_cancel(remote);
    cio_remote_join(remote);
    return rc == CIO_ETIMEDOUT ? 1 : 2;
}

SCENARIO_TIMED(a_job_cancels_what_it_started)
{
    sem_t begun;
    sem_init(&begun, 0, 0);
    say("%s", how(cio_to_thread(starts_and_cancels, &begun)));
    say("%s", how(cio_to_thread(waits_in_vain, &begun)));
    return 0;
}

/* ---- the end of a run ---- */

static struct gate last_gate;

static int cleans_up(void *arg)
{
    static int number = 9;
    int rc = cio_sleep(CIO_FOREVER);
    say("task: %s", how(rc));
    say("in a thread: %s", how(cio_to_thread(give, &number)));
    sem_post(&((struct gate *)arg)->open);
    return rc;
}

SCENARIO_TIMED(the_end_of_a_run_waits_for_tasks_then_threads)
{
    gate_init(&last_gate, 0);
    cio_detach(cio_run_in_executor(NULL, pass, &last_gate));
    sem_wait(&last_gate.begun);
    cio_detach(cio_create_task(cleans_up, &last_gate));
    cio_yield();
    return 0;
}
