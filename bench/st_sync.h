/* The modes of the State Threads subject that are in st_sync.c. */
#ifndef BENCH_ST_SYNC_H
#define BENCH_ST_SYNC_H

void bench_lock(long n);
void bench_lock_hand_over(long n);
void bench_semaphore(long n);

#endif
