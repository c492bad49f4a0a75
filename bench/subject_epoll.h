/* The modes of the hand-written subject that have a file of their own. */
#ifndef BENCH_SUBJECT_EPOLL_H
#define BENCH_SUBJECT_EPOLL_H

void bench_switch(long n);
void bench_switch_deep(long n);
/* hand_names.c */
void bench_lookup_number(long n);
void bench_lookup_name(long n);
/* hand_udp.c */
void bench_echo_udp(long n);
void bench_sink_udp(long n);
/* hand_tls.c */
void bench_echo_tls(long n);

#endif
