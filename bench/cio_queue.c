/* Ourselves: messages between two tasks, by way of queues. */
#include "subject.h"
#include "subject_cio.h"

enum { MESSAGES = 5000000 };

/* Two tasks that play the same part: each sends on what it has received. */
struct player {
    cio_queue *in, *out;
    bool serves;
};

static int play(void *arg)
{
    const struct player *me = arg;
    long message = -1;
    for (long i = 0; i < MESSAGES / 2; i++) {
        if (i > 0 || !me->serves)
            cio_queue_get(me->in, &message);
        message++;
        cio_queue_put(me->out, &message);
    }
    return 0;
}

static int pingpong_main(void *arg)
{
    long size = *(long *)arg, last = -1;
    cio_queue there, back;
    check(cio_queue_init(&there, (size_t)size, sizeof(long)), "cio_queue_init");
    check(cio_queue_init(&back, (size_t)size, sizeof(long)), "cio_queue_init");
    struct player one = {&back, &there, true}, two = {&there, &back, false};
    int64_t begin_ns = cpu_ns();
    cio_task *tasks[] = {cio_create_task(play, &one), cio_create_task(play, &two)};
    check(cio_gather(tasks, 2, 0), "cio_gather");
    subject_value("time", (double)(cpu_ns() - begin_ns) / MESSAGES);
    check(cio_queue_get_nowait(&back, &last), "cio_queue_get_nowait");
    return last == MESSAGES - 1 ? 0 : CIO_ESTATE;
}

void bench_queue_pingpong(long n)
{
    run_main(pingpong_main, &n);
}

/* One task sends, the other receives. */
struct talk {
    cio_queue q;
    long n;
};

static void start_talk(struct talk *talk, long size, long n)
{
    check(cio_queue_init(&talk->q, (size_t)size, sizeof(long)), "cio_queue_init");
    talk->n = n;
}

static int send_messages(void *arg)
{
    struct talk *talk = arg;
    for (long i = 0; i < talk->n; i++)
        cio_queue_put(&talk->q, &i);
    return 0;
}

static int stream_main(void *arg)
{
    struct talk *talk = arg;
    cio_task *producer = cio_create_task(send_messages, talk);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < talk->n; i++) {
        long message = -1;
        cio_queue_get(&talk->q, &message);
        if (message != i)
            subject_fail("message %ld came as %ld", i, message);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)talk->n);
    return cio_await(producer);
}

void bench_queue_stream(long n)
{
    struct talk talk;
    start_talk(&talk, n, MESSAGES);
    run_main(stream_main, &talk);
}

/* The same task puts and gets: nobody waits. */
static int nowait_main(void *arg)
{
    struct talk *talk = arg;
    long message = 0;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < talk->n; i++) {
        cio_queue_put(&talk->q, &i);
        cio_queue_get(&talk->q, &message);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)talk->n);
    return message == talk->n - 1 ? 0 : CIO_ESTATE;
}

void bench_queue_nowait(long n)
{
    struct talk talk;
    start_talk(&talk, n, 4L * MESSAGES);
    run_main(nowait_main, &talk);
}
