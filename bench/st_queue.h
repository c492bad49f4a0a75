/* State Threads' modes that have a file of their own. */
#ifndef BENCH_ST_QUEUE_H
#define BENCH_ST_QUEUE_H

void bench_queue_pingpong(long size);
void bench_queue_stream(long size);

#endif
