/* The modes of libuv's subject that use its thread pool. */
#ifndef BENCH_UV_THREADS_H
#define BENCH_UV_THREADS_H

void bench_thread_round_trip(long n);
void bench_thread_jobs(long n);

/* uv_names.c */
void bench_lookup_number(long n);
void bench_lookup_name(long n);

#endif
