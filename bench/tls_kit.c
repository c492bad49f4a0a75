/* A certificate for the TLS benches. */
#include "tls_kit.h"

#include "subject.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

const char *tls_kit_pem(size_t *size)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *both = BIO_new(BIO_s_mem()); /* kept: the text lies in it */
    char *pem;
    if (!key || !certificate || !both)
        subject_fail("no certificate");
    X509_NAME *name = X509_get_subject_name(certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 100000);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"localhost", -1,
                               -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    if (X509_sign(certificate, key, EVP_sha256()) <= 0 || !PEM_write_bio_X509(both, certificate) ||
        !PEM_write_bio_PrivateKey(both, key, NULL, NULL, 0, NULL, NULL))
        subject_fail("no certificate");
    X509_free(certificate);
    EVP_PKEY_free(key);
    *size = (size_t)BIO_get_mem_data(both, &pem);
    return pem;
}
