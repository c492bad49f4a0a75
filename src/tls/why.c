/* What went wrong, in words. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "os/memory.h"
#include "tls/tls.h"

static _Thread_local char last[CIO__TLS_WHY_SIZE];

void cio__tls_forget_errors(void)
{
    if (unlikely(ERR_peek_error() != 0))
        ERR_clear_error();
}

int cio__tls_fail(int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last, sizeof last, format, args);
    va_end(args);
    return rc;
}

/* A text that cannot be kept is no reason to fail otherwise. */
static void keep(struct cio__tls *tls, const char *text)
{
    size_t size = strlen(text) + 1;
    tls->why = cio__alloc(size);
    if (tls->why)
        memcpy(tls->why, text, size);
}

int cio__tls_lose(struct cio__tls *tls, int rc, const char *format, ...)
{
    char text[CIO__TLS_WHY_SIZE];
    if (tls->rc < 0)
        return tls->rc;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tls->rc = rc;
    tls->state = CIO__TLS_OVER;
    if (!tls->why) /* the refusal of a certificate has been written down already */
        keep(tls, text);
    cio__tls_recall(tls);
    return rc;
}

void cio__tls_recall(const struct cio__tls *tls)
{
    snprintf(last, sizeof last, "%s", tls->why ? tls->why : cio_strerror(tls->rc));
}

void cio__tls_remember(const struct cio__layer *layer)
{
    if (layer && ((const struct cio__tls *)layer)->rc < 0)
        cio__tls_recall((const struct cio__tls *)layer);
}

/* ---- OpenSSL's queue of errors ---- */

bool cio__tls_no_memory(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

static const char *reason_of(unsigned long error)
{
    if (ERR_SYSTEM_ERROR(error))
        return cio_strerror(-ERR_GET_REASON(error));
    const char *reason = ERR_reason_error_string(error);
    return reason ? reason : "unknown error";
}

/* What people ask about when they see OpenSSL's words for it. */
static const char *hint_of(unsigned long error)
{
    if (ERR_GET_LIB(error) != ERR_LIB_SSL)
        return "";
    switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST: return " (the peer does not speak TLS here)";
    case SSL_R_NO_SHARED_CIPHER: return " (or no certificate of a kind that the peer takes)";
    default: return ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET ? " (the peer says)" : "";
    }
}

/* The first error is what happened; those behind it are its consequences. */
const char *cio__tls_openssl_says(void)
{
    static _Thread_local char text[CIO__TLS_WHY_SIZE / 2];
    const char *data;
    int flags;
    unsigned long error = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    if (error == 0)
        return "no reason given";
    bool has_data = (flags & ERR_TXT_STRING) && *data;
    snprintf(text, sizeof text, "%s%s%s%s%s", reason_of(error), hint_of(error),
             has_data ? " (" : "", has_data ? data : "", has_data ? ")" : "");
    ERR_clear_error();
    return text;
}

/* ---- certificates ---- */

static void print_name(BIO *to, const char *what, const X509_NAME *name)
{
    BIO_printf(to, "%s", what);
    X509_NAME_print_ex(to, name, 0, XN_FLAG_RFC2253);
}

static void print_alternatives(BIO *to, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    BIO_printf(to, "it is for ");
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        BIO_printf(to, "%s", i ? ", " : "");
        GENERAL_NAME_print(to, sk_GENERAL_NAME_value(names, i));
    }
    if (sk_GENERAL_NAME_num(names) <= 0)
        print_name(to, "", X509_get_subject_name(certificate));
    GENERAL_NAMES_free(names);
}

/* The values that the reason is about. */
static void print_details(BIO *to, int error, const X509 *certificate)
{
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: print_alternatives(to, certificate); return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        BIO_printf(to, "until ");
        ASN1_TIME_print(to, X509_get0_notAfter(certificate));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        BIO_printf(to, "from ");
        ASN1_TIME_print(to, X509_get0_notBefore(certificate));
        break;
    default: print_name(to, "issued by ", X509_get_issuer_name(certificate)); break;
    }
    print_name(to, ", to ", X509_get_subject_name(certificate));
}

static void write_down(struct cio__tls *tls, int error, const X509 *certificate)
{
    char text[CIO__TLS_WHY_SIZE];
    char details[CIO__TLS_WHY_SIZE / 2] = "";
    BIO *to = certificate ? BIO_new(BIO_s_mem()) : NULL;
    if (to) {
        print_details(to, error, certificate);
        int n = BIO_read(to, details, sizeof details - 1);
        details[n > 0 ? n : 0] = 0;
        BIO_free(to);
    }
    snprintf(text, sizeof text, "certificate of %s: %s%s%s%s", tls->host ? tls->host : "the peer",
             X509_verify_cert_error_string(error), *details ? " (" : "", details,
             *details ? ")" : "");
    keep(tls, text);
}

int cio__tls_on_verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct cio__tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
    if (!ok && tls && !tls->why)
        write_down(tls, X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store));
    return ok;
}

/* ---- for the program ---- */

static const char *why(const struct cio__tls *tls)
{
    return !tls || tls->rc == 0 ? "" : tls->why ? tls->why : cio_strerror(tls->rc);
}

const char *cio_tls_why(const cio_stream *s)
{
    return s ? why(cio__tls_of(&s->channel)) : last;
}

const char *cio_transport_tls_why(const cio_transport *t)
{
    return t ? why(cio__tls_of(&t->channel)) : last;
}
