/* The real kernel's TLS, which encrypts what is sent on a TCP socket (CONFIG_TLS). */
#include "os/kernel.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* A kernel that has none is asked once, not for every connection. */
int cio__kernel_tls_attach(struct cio__os *os, int fd)
{
    static int absent;
    (void)os;
    if (__atomic_load_n(&absent, __ATOMIC_RELAXED))
        return -ENOENT;
    int rc = RETRY(setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls"));
    if (rc == -ENOENT || rc == -ENOPROTOOPT)
        __atomic_store_n(&absent, 1, __ATOMIC_RELAXED);
    return rc;
}

/* 0: a cipher that we do not know. */
static socklen_t size_of(const struct tls_crypto_info *keys)
{
    switch (keys->cipher_type) {
    case TLS_CIPHER_AES_GCM_128: return sizeof(struct tls12_crypto_info_aes_gcm_128);
    case TLS_CIPHER_AES_GCM_256: return sizeof(struct tls12_crypto_info_aes_gcm_256);
#ifdef TLS_CIPHER_AES_CCM_128
    case TLS_CIPHER_AES_CCM_128: return sizeof(struct tls12_crypto_info_aes_ccm_128);
#endif
#ifdef TLS_CIPHER_CHACHA20_POLY1305
    case TLS_CIPHER_CHACHA20_POLY1305: return sizeof(struct tls12_crypto_info_chacha20_poly1305);
#endif
    default: return 0;
    }
}

int cio__kernel_tls_keys(struct cio__os *os, int fd, const void *keys)
{
    socklen_t size = size_of(keys);
    (void)os;
    return size ? RETRY(setsockopt(fd, SOL_TLS, TLS_TX, keys, size)) : -EOPNOTSUPP;
}

ssize_t cio__kernel_tls_record(struct cio__os *os, int fd, uint8_t kind, const void *data,
                               size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof kind)];
    } control = {0};
    struct iovec bytes = {(void *)data, size};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.space};
    (void)os;
    control.header.cmsg_level = SOL_TLS;
    control.header.cmsg_type = TLS_SET_RECORD_TYPE;
    control.header.cmsg_len = CMSG_LEN(sizeof kind);
    memcpy(CMSG_DATA(&control.header), &kind, sizeof kind);
    return RETRY(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}
