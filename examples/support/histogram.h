/*
 * A histogram of fixed size for values of any size: log-linear, as HdrHistogram's. Each power of
 * two is divided into 32 buckets, so that a percentile is read at most 3 % too high.
 */
#ifndef CIO_EXAMPLES_HISTOGRAM_H
#define CIO_EXAMPLES_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 5,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB,
};

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Values below 64 have a bucket each; above, a value keeps its six leading bits. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    unsigned shift = 63 - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(value);
    return shift * HISTOGRAM_SUB + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static inline uint64_t histogram_bucket_top(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_SUB - 1;
    uint64_t leading = bucket % HISTOGRAM_SUB + HISTOGRAM_SUB;
    return (leading << shift) + ((UINT64_C(1) << shift) - 1);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->count++;
    h->buckets[histogram_bucket(value)]++;
    if (value > h->max)
        h->max = value;
}

/* The value that so many percent of all do not exceed; 0 if there is none. */
static inline uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t rank = (uint64_t)((double)h->count * percent / 100 + 0.5);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0) {
            uint64_t top = histogram_bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return 0;
}

#endif
