/*
 * sha256sum for many files: they are read and hashed in threads, while a task shows how far it is.
 *
 *     hash_files [-p] FILE...      -p shows progress even if stderr is no terminal
 *
 * Output is that of sha256sum, in the order of the arguments. ^C ends it at once: jobs are asked to
 * stop, and what was hashed so far is printed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cio.h>

/* ---- SHA-256 (FIPS 180-4) ---- */

struct sha256 {
    uint32_t state[8];
    uint64_t size; /* bytes so far */
    uint8_t block[64];
};

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void sha256_init(struct sha256 *hash)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(hash->state, start, sizeof start);
    hash->size = 0;
}

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void expand(uint32_t w[64], const uint8_t block[64])
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
}

static void sha256_block(struct sha256 *hash, const uint8_t block[64])
{
    uint32_t w[64], s[8];
    expand(w, block);
    memcpy(s, hash->state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t t1 = s[7] + e1 + choice + round_constants[i] + w[i];
        uint32_t e0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
        uint32_t t2 = e0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        hash->state[i] += s[i];
}

static void sha256_add(struct sha256 *hash, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t used = hash->size % 64, n = 64 - used < size ? 64 - used : size;
        memcpy(hash->block + used, data, n);
        hash->size += n;
        data += n;
        size -= n;
        if (hash->size % 64 == 0)
            sha256_block(hash, hash->block);
    }
}

static void sha256_end(struct sha256 *hash, char text[65])
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(hash->size * 8 >> (56 - 8 * i));
    sha256_add(hash, (const uint8_t *)"\x80", 1);
    while (hash->size % 64 != 56)
        sha256_add(hash, (const uint8_t *)"", 1);
    sha256_add(hash, length, sizeof length);
    for (int i = 0; i < 8; i++)
        sprintf(text + (ptrdiff_t)8 * i, "%08x", hash->state[i]);
}

/* ---- one file: in a thread ---- */

struct file {
    const char *name;
    int rc; /* 1: hashed; 0: not yet; < 0: why not */
    char text[65];
};

static atomic_ullong bytes_read; /* by all threads, for the progress */
static atomic_int files_done;

static int hash_stream(FILE *stream, struct file *file)
{
    struct sha256 hash;
    uint8_t data[65536];
    size_t n;
    sha256_init(&hash);
    while ((n = fread(data, 1, sizeof data, stream)) > 0) {
        if (cio_job_cancelled())
            return CIO_ECANCELED;
        sha256_add(&hash, data, n);
        bytes_read += n;
    }
    if (ferror(stream))
        return -EIO;
    sha256_end(&hash, file->text);
    return 1;
}

static int hash_file(void *arg)
{
    struct file *file = arg;
    errno = 0;
    FILE *stream = fopen(file->name, "rb");
    file->rc = stream ? hash_stream(stream, file) : -errno;
    if (stream)
        fclose(stream);
    files_done++;
    return 0; /* an unreadable file is no reason to stop */
}

/* ---- all files: tasks ---- */

struct work {
    struct file *files;
    int n;
    bool shows_progress;
};

static int hash_in_thread(void *file)
{
    return cio_to_thread(hash_file, file);
}

/* Runs beside the hashing, in the loop, which has nothing else to do. */
static int show_progress(void *arg)
{
    struct work *work = arg;
    int rc = 0;
    while (rc == 0) {
        fprintf(stderr, "\r%d of %d files, %.1f MB", files_done, work->n, (double)bytes_read / 1e6);
        rc = cio_sleep(0.1);
    }
    fprintf(stderr, "\r%d of %d files, %.1f MB\n", files_done, work->n, (double)bytes_read / 1e6);
    return rc;
}

static int main_task(void *arg)
{
    struct work *work = arg;
    cio_task *progress = work->shows_progress ? cio_create_task(show_progress, work) : NULL;
    int rc = cio_map(hash_in_thread, work->files, (size_t)work->n, sizeof *work->files, 64);
    if (progress) {
        cio_cancel(progress);
        cio_await(progress);
    }
    return rc;
}

int main(int argc, char **argv)
{
    bool asked = argc > 1 && strcmp(argv[1], "-p") == 0;
    char **names = argv + 1 + asked;
    int n = argc - 1 - asked;
    if (n <= 0) {
        fprintf(stderr, "usage: hash_files [-p] FILE...\n");
        return 2;
    }
    struct work work = {calloc((size_t)n, sizeof(struct file)), n, asked || isatty(2)};
    if (!work.files)
        return 1;
    for (int i = 0; i < n; i++)
        work.files[i].name = names[i];
    int rc = cio_run(main_task, &work), failed = rc < 0;
    if (rc < 0)
        fprintf(stderr, "hash_files: %s\n", cio_strerror(rc));
    for (int i = 0; i < n; i++) {
        if (work.files[i].rc == 1)
            printf("%s  %s\n", work.files[i].text, names[i]);
        else if (work.files[i].rc < 0)
            fprintf(stderr, "hash_files: %s: %s\n", names[i], cio_strerror(work.files[i].rc));
        failed |= work.files[i].rc != 1;
    }
    free(work.files);
    return failed;
}
