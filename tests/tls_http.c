/* examples/http_files and examples/link_check by TLS: curl, and openssl s_server. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "site.h"
#include "test.h"
#include "tls.h"

static struct {
    char authority[128], certificate[128], key[128];
} files;

static void write_certificates(void)
{
    strcpy(files.authority, test_file("authority.pem", test_authority()->certificate));
    strcpy(files.certificate, test_file("server.pem", test_server()->certificate));
    strcpy(files.key, test_file("server.key", test_server()->key));
}

static void serve(struct site *site)
{
    static char big[1000000];
    write_certificates();
    net_fill(big, sizeof big, 3, 0);
    site_write("big.bin", big, sizeof big);
    site_write_text("index.html", "<a href=b.html><a href=none><a href=big.bin>");
    site_write_text("b.html", "<a href=/>");
    site_serve(site, ARGUMENTS("--certificate", files.certificate, "--key", files.key));
    snprintf(site->url, sizeof site->url, "https://localhost:%d", ntohs(site->address.sin_port));
}

TEST(curl_gets_files)
{
    struct site site;
    struct program p;
    serve(&site);
    program_run_client(&p, "curl",
                       ARGUMENTS("-sS", "--cacert", files.authority, "-w",
                                 "%{http_code} %{size_download} %{num_connects}\n", "-o",
                                 "/dev/null", site_url(&site, "/b.html"), "-o", "/dev/null",
                                 site_url(&site, "/big.bin"), "-o", "/dev/null",
                                 site_url(&site, "/none")));
    assert_string_equal(p.err_text, "");
    assert_string_equal(p.out_text, "200 10 1\n200 1000000 0\n404 14 0\n");
    program_run_client(&p, "curl", ARGUMENTS("-sS", "-i", site_url(&site, "/")));
    assert_int_equal(p.exit_code, 60); /* it does not know the authority, and leaves */
    int fd = net_connect_blocking(&site.address);
    net_write(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 28); /* no TLS */
    char rest[512];
    assert_true(net_read(fd, rest, sizeof rest) < sizeof rest);
    close(fd);
    site_stop(&site);
}

static void check_links(const char *url)
{
    struct program p;
    char line[128];
    program_run(&p, "link_check", ARGUMENTS("--cacert", files.authority, url));
    assert_string_equal(p.err_text, "");
    snprintf(line, sizeof line, "broken: %s/none: status 404\n", url);
    program_assert_contains(p.out_text, line);
    program_assert_contains(p.out_text, "4 links checked, 1 broken\n");
    assert_int_equal(p.exit_code, 1);
    program_run(&p, "link_check", ARGUMENTS("--insecure", url));
    program_assert_contains(p.out_text, "4 links checked, 1 broken\n");
    program_run(&p, "link_check", ARGUMENTS(url));
    program_assert_contains(p.out_text, "1 links checked, 1 broken\n");
    program_assert_contains(p.out_text, "certificate");
    assert_int_equal(p.exit_code, 1);
}

TEST(links_of_our_server)
{
    struct site site;
    serve(&site);
    check_links(site.url);
    site_stop(&site);
}

/* It serves the files of its working directory, and says 200 for what is not there. */
TEST(links_of_s_server)
{
    struct program server, p;
    char command[1024], url[64];
    int port = 0;
    write_certificates();
    site_write_text("index.html", "<a href=b.html><a href=index.html>");
    site_write_text("b.html", "<a href=index.html>");
    snprintf(command, sizeof command,
             "cd %s && exec openssl s_server -accept 127.0.0.1:0 -WWW -cert %s -key %s 2>&1",
             site_root(), files.certificate, files.key);
    program_start_client(&server, "sh", ARGUMENTS("-c", command));
    program_read(&server, "\nACCEPT 127.0.0.1:");
    const char *told = strstr(server.out_text, "ACCEPT");
    if (!told || sscanf(told, "ACCEPT 127.0.0.1:%d", &port) != 1)
        test_skip("no openssl that serves files");
    snprintf(url, sizeof url, "https://localhost:%d/index.html", port);
    program_run(&p, "link_check", ARGUMENTS("--cacert", files.authority, url));
    program_assert_contains(p.out_text, "2 links checked, 0 broken\n");
    assert_int_equal(p.exit_code, 0);
    kill(server.pid, SIGKILL);
    close(server.out);
    close(server.err);
    waitpid(server.pid, NULL, 0);
}

TEST(bad_certificates_are_refused)
{
    struct program p;
    write_certificates();
    program_assert_refused("http_files", ARGUMENTS("--certificate", "/nonexistent", "/tmp"));
    program_assert_refused("http_files", ARGUMENTS("--key", files.key, "/tmp"));
    program_assert_refused("http_files", ARGUMENTS("--certificate", files.certificate, "--key",
                                                   files.certificate, "/tmp"));
    program_assert_refused("link_check", ARGUMENTS("--cacert", "/nonexistent", "https://a/"));
    program_run(&p, "link_check", ARGUMENTS("--cacert", files.key, "https://a/"));
    assert_int_equal(p.exit_code, 2);
}
