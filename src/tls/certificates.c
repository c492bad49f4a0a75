/* Certificates, keys and authorities, from files and from memory. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "tls/tls.h"

/* Without it OpenSSL would ask for the password at the terminal. */
static int give_password(char *buffer, int size, int writing, void *password)
{
    (void)writing;
    size_t length = password ? strlen(password) : 0;
    if (length > (size_t)size)
        return -1;
    memcpy(buffer, password ? password : "", length);
    return (int)length;
}

/* OpenSSL has refused something of that name. */
static int refused(const char *what, const char *name)
{
    if (cio__tls_no_memory()) {
        ERR_clear_error();
        return -ENOMEM;
    }
    return cio__tls_fail(CIO_ETLS, "%s %s: %s", what, name ? name : "in memory",
                         cio__tls_openssl_says());
}

static BIO *open_pem(const char *file, const void *data, size_t size)
{
    if (file)
        return BIO_new_file(file, "r");
    return size > INT32_MAX ? NULL : BIO_new_mem_buf(data, (int)size);
}

/* The next certificate, or NULL: none is left (no error is left behind), or an error. */
static X509 *next_certificate(BIO *from)
{
    X509 *certificate = PEM_read_bio_X509_AUX(from, NULL, give_password, NULL);
    unsigned long error = ERR_peek_last_error();
    if (!certificate && ERR_GET_LIB(error) == ERR_LIB_PEM &&
        ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return certificate;
}

static bool use_chain(SSL_CTX *ssl, BIO *from)
{
    X509 *certificate = PEM_read_bio_X509_AUX(from, NULL, give_password, NULL);
    bool good = certificate && SSL_CTX_use_certificate(ssl, certificate) == 1 &&
                SSL_CTX_clear_chain_certs(ssl) == 1;
    X509_free(certificate);
    while (good && (certificate = next_certificate(from))) {
        good = SSL_CTX_add0_chain_cert(ssl, certificate) == 1;
        if (!good)
            X509_free(certificate);
    }
    return good && ERR_peek_error() == 0;
}

static bool use_key(SSL_CTX *ssl, BIO *from, const char *password)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, give_password, (void *)password);
    bool good = key && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    return good;
}

int cio__tls_use_certificate(SSL_CTX *ssl, const cio_tls_certificate *c)
{
    cio__tls_forget_errors();
    BIO *from = open_pem(c->file, c->data, c->size);
    bool good = from && use_chain(ssl, from);
    BIO_free(from);
    if (!good)
        return refused("certificate", c->file);
    bool apart = c->key_file || c->key_data;
    const char *key_file = apart ? c->key_file : c->file;
    from = apart ? open_pem(c->key_file, c->key_data, c->key_size)
                 : open_pem(c->file, c->data, c->size);
    good = from && use_key(ssl, from, c->password);
    BIO_free(from);
    return good ? 0 : refused("key", key_file);
}

/* ---- whom to trust ---- */

static bool trust_all(SSL_CTX *ssl, BIO *from, bool server)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509 *certificate;
    int n = 0;
    bool good = true;
    for (; good && (certificate = next_certificate(from)); n++) {
        good = X509_STORE_add_cert(store, certificate) == 1 &&
               (!server || SSL_CTX_add_client_CA(ssl, certificate) == 1);
        X509_free(certificate);
    }
    if (good && n == 0 && ERR_peek_error() == 0)
        ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    return good && ERR_peek_error() == 0;
}

static int trust(SSL_CTX *ssl, const char *file, const void *data, size_t size, bool server)
{
    BIO *from = open_pem(file, data, size);
    bool good = from && trust_all(ssl, from, server);
    BIO_free(from);
    return good ? 0 : refused("authorities", file);
}

/* OpenSSL would look into it when it is too late to say anything. */
static int trust_dir(SSL_CTX *ssl, const char *dir)
{
    struct stat there;
    if (stat(dir, &there) < 0)
        return cio__tls_fail(CIO_ETLS, "authorities %s: %s", dir, cio_strerror(-errno));
    if (!S_ISDIR(there.st_mode))
        return cio__tls_fail(CIO_ETLS, "authorities %s: %s", dir, cio_strerror(-ENOTDIR));
    return SSL_CTX_load_verify_dir(ssl, dir) == 1 ? 0 : refused("authorities", dir);
}

int cio__tls_trust(SSL_CTX *ssl, const cio_tls_options *options, bool server)
{
    bool told = options->ca_file || options->ca_dir || options->ca_data;
    int rc = 0;
    cio__tls_forget_errors();
    if (options->ca_file)
        rc = trust(ssl, options->ca_file, NULL, 0, server);
    if (rc == 0 && options->ca_data)
        rc = trust(ssl, NULL, options->ca_data, options->ca_size, server);
    if (rc == 0 && options->ca_dir)
        rc = trust_dir(ssl, options->ca_dir);
    bool usual = options->system_cas || (!told && !server);
    if (rc == 0 && usual && SSL_CTX_set_default_verify_paths(ssl) != 1)
        rc = refused("authorities", "of the system");
    return rc;
}
