#ifndef BENCH_UV_UDP_H
#define BENCH_UV_UDP_H

void bench_echo_udp(long n);
void bench_sink_udp(long n);

#endif
