/* Ourselves: messages between two tasks, by way of queues. */
#include "subject.h"
#include "subject_cio.h"

enum { MESSAGES = 5000000 };

struct talk {
    cio_queue there, back;
    long n; /* messages each way */
};

static void start_talk(struct talk *talk, long size, long n)
{
    check(cio_queue_init(&talk->there, (size_t)size, sizeof(long)), "cio_queue_init");
    check(cio_queue_init(&talk->back, (size_t)size, sizeof(long)), "cio_queue_init");
    talk->n = n;
}

static int echo_messages(void *arg)
{
    struct talk *talk = arg;
    long message = 0;
    for (long i = 0; i < talk->n; i++) {
        cio_queue_get(&talk->there, &message);
        cio_queue_put(&talk->back, &message);
    }
    return 0;
}

static int pingpong_main(void *arg)
{
    struct talk *talk = arg;
    cio_task *other = cio_create_task(echo_messages, talk);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < talk->n; i++) {
        long message = i;
        cio_queue_put(&talk->there, &message);
        cio_queue_get(&talk->back, &message);
        if (message != i)
            subject_fail("message %ld came back as %ld", i, message);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)(2 * talk->n));
    return cio_await(other);
}

void bench_queue_pingpong(long n)
{
    struct talk talk;
    start_talk(&talk, n, MESSAGES / 2);
    run_main(pingpong_main, &talk);
}

static int send_messages(void *arg)
{
    struct talk *talk = arg;
    for (long i = 0; i < talk->n; i++)
        cio_queue_put(&talk->there, &i);
    return 0;
}

static int stream_main(void *arg)
{
    struct talk *talk = arg;
    cio_task *producer = cio_create_task(send_messages, talk);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < talk->n; i++) {
        long message = -1;
        cio_queue_get(&talk->there, &message);
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
        cio_queue_put(&talk->there, &i);
        cio_queue_get(&talk->there, &message);
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
