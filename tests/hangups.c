/* Watched descriptors that fail or end, and what the kernel tells though nobody asked. */
#include <netinet/in.h>

#include "watches.h"

TEST(reader_hears_of_the_end)
{
    int fds[2];
    make_pipe(fds);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    close(fds[1]);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close(fds[0]);
}

TEST(reader_hears_of_a_half_closed_socket)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close_both(fds);
}

/* A full pipe whose reader is gone will never have room, but a write says what is wrong. */
TEST(writer_hears_of_a_failure)
{
    int fds[2];
    make_pipe(fds);
    fill(fds[1]);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_writer(w.loop, fds[1], &w.handle, call_and_count, &w);
    close(fds[0]);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close(fds[1]);
}

TEST(both_watches_hear_of_a_hangup)
{
    int fds[2];
    make_pair(fds);
    fill(fds[0]);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    cio_add_writer(w.loop, fds[0], &w.other, note_and_remove_writer, &w);
    run_for(w.loop, 0.002);
    assert_trace("");
    close(fds[1]);
    run_until_noted(w.loop, 2);
    assert_int_equal(trace.length, 2);
    assert_non_null(strchr(trace.text, 'r'));
    assert_non_null(strchr(trace.text, 'w'));
    free_loop(w.loop);
    close(fds[0]);
}

/* Connects to a port that is taken, so that nobody else gets it, but at which nobody listens. */
static int connect_in_vain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int placeholder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(placeholder, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(placeholder, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), -1);
    assert_true(errno == EINPROGRESS || errno == ECONNREFUSED);
    close(placeholder);
    return fd;
}

TEST(writer_hears_of_a_refused_connection)
{
    struct watch w = {.loop = new_loop(), .fd = connect_in_vain()};
    cio_add_writer(w.loop, w.fd, &w.handle, note_and_remove_writer, &w);
    run_until_noted(w.loop, 1);
    assert_trace("w");
    free_loop(w.loop);
    close(w.fd);
}

static void count_poll(void *arg)
{
    ++*(int *)arg;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/*
 * The kernel reports a hangup whether asked or not; without a watch it must not keep the loop
 * awake.
 */
TEST(hangup_without_a_watch_lets_the_loop_sleep)
{
    int fds[2], n_polls = 0;
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    close(fds[1]);
    run_until_noted(w.loop, 1);
    assert_trace("r");
    cio_set_poll_hooks(w.loop, count_poll, do_nothing, &n_polls);
    run_for(w.loop, 0.05);
    assert_true(n_polls < 20);
    free_loop(w.loop);
    close(fds[0]);
}

/* The same for data that nobody wants to read while a writer waits for room. */
TEST(data_without_a_reader_lets_the_loop_sleep)
{
    int fds[2], n_polls = 0;
    make_pair(fds);
    fill(fds[0]);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    cio_add_writer(w.loop, fds[0], &w.other, note, "w");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    cio_set_poll_hooks(w.loop, count_poll, do_nothing, &n_polls);
    run_for(w.loop, 0.05);
    assert_true(n_polls < 20);
    assert_trace("");
    free_loop(w.loop);
    close_both(fds);
}

static int receive_once(void *arg)
{
    char byte;
    struct watch *w = arg;
    assert_int_equal(cio_sock_recv(w->fd, &byte, 1), 1);
    note("t");
    return 0;
}

/*
 * A task waited for data beside a writer's watch; when it has its byte, nobody asks for the rest.
 */
TEST(data_after_a_tasks_wait_lets_the_loop_sleep)
{
    int fds[2], n_polls = 0;
    make_pair(fds);
    fill(fds[0]);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_writer(w.loop, fds[0], &w.other, note_and_remove_writer, &w);
    cio_detach(cio_create_task_with(&(cio_task_options){.loop = w.loop}, receive_once, &w));
    run_for(w.loop, 0.001);
    put(fds[1], "xyz");
    run_until_noted(w.loop, 1);
    assert_trace("t");
    cio_set_poll_hooks(w.loop, count_poll, do_nothing, &n_polls);
    run_for(w.loop, 0.05);
    assert_true(n_polls < 20);
    drain(fds[1]);
    run_until_noted(w.loop, 1);
    assert_trace("w");
    free_loop(w.loop);
    close_both(fds);
}
