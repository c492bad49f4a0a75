/* The modes of our own subject, by file. */
#ifndef BENCH_SUBJECT_CIO_H
#define BENCH_SUBJECT_CIO_H

#include <cio.h>

/* cio_run(), and a failure is the subject's. */
void run_main(cio_coroutine *main_task, void *arg);
/* Starts a task that nobody awaits. */
void start_detached(cio_coroutine *fn, void *arg);
/* Ends the subject as a failure when rc is an error. */
void check(int rc, const char *what);

/* cio_timers.c */
void bench_clock(long n);
void bench_timer_later(long n);
void bench_timer_at(long n);
void bench_sleep(long n);

/* cio_sync.c */
void bench_lock(long n);
void bench_lock_hand_over(long n);
void bench_semaphore(long n);
/* cio_generator.c */
void bench_generator_next(long n);
void bench_generator_send(long n);
void bench_generator_life(long n);

/* cio_io.c */
void bench_wake_burst(long n);
void bench_wake_pingpong(long n);
void bench_echo(long n);

/* cio_queue.c */
void bench_queue_pingpong(long n);
void bench_queue_stream(long n);
void bench_queue_nowait(long n);
/* cio_threads.c */
void bench_thread_round_trip(long n);
void bench_thread_jobs(long n);
/* cio_names.c */
void bench_lookup_number(long n);
void bench_lookup_name(long n);
/* cio_streams.c */
int echo_stream(cio_stream *s, void *arg);
void bench_echo_stream(long n);
void bench_echo_protocol(long n);
void bench_idle_transports(long n);
void bench_idle_streams(long n);
/* cio_udp.c */
void bench_echo_udp(long n);
void bench_echo_udp_protocol(long n);
void bench_sink_udp(long n);
/* cio_tls.c */
void bench_echo_tls(long n);
void bench_idle_tls(long n);
cio_tls_context *bench_tls_context(void); /* of a server */

/* cio_http.c */
void bench_http(const char *directory, bool over_tls);

#endif
