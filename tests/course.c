/* The programs of examples/course: each is run as a user runs it, and says what it should. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { CANNOT_EXEC = 126, ABSENT = 127 };

struct program {
    pid_t pid;
    int in, out;
    char text[65536];
};

static _Noreturn void be_program(const char *const *words, int in, int out)
{
#ifdef CIO_EXAMPLES_DIR
    char path[1024];
    snprintf(path, sizeof path, "%s/course/%s", CIO_EXAMPLES_DIR, words[0]);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execv(path, (char *const *)words);
#else
    (void)words, (void)in, (void)out;
#endif
    _exit(errno == ENOEXEC ? CANNOT_EXEC : ABSENT);
}

static void start(struct program *p, const char *const *words)
{
    int in[2], out[2];
    memset(p, 0, sizeof *p);
    signal(SIGPIPE, SIG_IGN); /* one that could not begin reads nothing: finish() says why */
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        be_program(words, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
}

/* Appends what can be read until `until` is in it or the end is reached. */
static void read_until(struct program *p, const char *until)
{
    size_t used = strlen(p->text);
    while (used + 1 < sizeof p->text && !(until && strstr(p->text, until))) {
        ssize_t n = read(p->out, p->text + used, sizeof p->text - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        p->text[used] = '\0';
    }
}

/* Its exit status; what was said is in text. */
static int finish(struct program *p)
{
    int status = -1;
    close(p->in);
    read_until(p, NULL);
    close(p->out);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    if (code == CANNOT_EXEC)
        test_skip("the examples are not for this machine");
    if (code == ABSENT)
        test_skip("the example was not built");
    return code;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect(const char *const *words, const char *text)
{
    struct program p;
    start(&p, words);
    assert_int_equal(finish(&p), 0);
    assert_string_equal(p.text, text);
}

/* ---- generators and coroutines ---- */

TEST(countdown)
{
    expect(WORDS("countdown"), "Counting down from 10\n10\n9\n8\n7\n6\n5\n4\n3\n2\n1\n"
                               "Done counting down\n");
}

TEST(bogus)
{
    expect(WORDS("bogus"), "Counting down from 5\n5\n3\n2\n1\n0\n");
}

TEST(grep_and_its_close)
{
    expect(WORDS("grep"), "Looking for python\npython generators rock!\nGoing away. Goodbye\n");
}

TEST(ranges)
{
    expect(WORDS("ranges"), "eager 499500, lazy 499500\n0\n2\n3\n2\n3\n4\n42\n84\n");
}

TEST(powers)
{
    expect(WORDS("powers"), "[1, 2, 4, 8, 16]\n[1, 2, 16]\n");
}

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

TEST(follow_and_grep)
{
    struct program p;
    char path[] = "/tmp/cio-course-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    append(path, "an old line about python\n");
    start(&p, WORDS("follow", path, "python"));
    read_until(&p, "Following");
    append(path, "swig\npython 1\nhalf a line about ");
    read_until(&p, "python 1\n");
    append(path, "python 2\nperl\n");
    read_until(&p, "python 2\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    int code = finish(&p);
    unlink(path);
    assert_int_equal(code, 130);
    assert_non_null(strstr(p.text, "\npython 1\nhalf a line about python 2\n"));
    assert_null(strstr(p.text, "old"));
    assert_null(strstr(p.text, "swig"));
    assert_null(strstr(p.text, "perl"));
}

/* The lines of a file that have a word in them, after `text`. */
static void append_lines_with(const char *path, const char *word, char *text)
{
    char line[512];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strstr(line, word))
            strcat(text, line);
    fclose(file);
}

/* The log that a simulator writes is followed while it is written. */
TEST(logsim_and_follow)
{
    enum { LINES = 200 };
    static struct program p, log;
    static char expected[65536];
    char path[] = "/tmp/cio-course-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    start(&p, WORDS("follow", path, "/ply/"));
    read_until(&p, "Following");
    start(&log, WORDS("logsim", path, "200", "0.0005", "7"));
    assert_int_equal(finish(&log), 0);
    append(path, "the last GET /ply/\n");
    read_until(&p, "the last GET /ply/\n");
    kill(p.pid, SIGINT);
    int code = finish(&p);
    snprintf(expected, sizeof expected, "Following %s\n", path);
    size_t before = strlen(expected);
    append_lines_with(path, "/ply/", expected);
    bool some = strlen(expected) > before + 100;
    int lines = 0;
    char c;
    while (read(fd, &c, 1) == 1)
        lines += c == '\n';
    close(fd);
    unlink(path);
    assert_int_equal(code, 130);
    assert_int_equal(lines, LINES + 1);
    assert_true(some);
    assert_string_equal(p.text, expected);
}

TEST(logsim_says_the_same_for_the_same_seed)
{
    static char logs[3][16384];
    static const char *const seeds[] = {"3", "3", "4"};
    for (int i = 0; i < 3; i++) {
        struct program p;
        char path[] = "/tmp/cio-course-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        start(&p, WORDS("logsim", path, "50", "0", seeds[i]));
        int code = finish(&p);
        ssize_t n = read(fd, logs[i], sizeof logs[i] - 1);
        close(fd);
        unlink(path);
        assert_int_equal(code, 0);
        assert_true(n > 50);
    }
    assert_string_equal(logs[0], logs[1]);
    assert_string_not_equal(logs[0], logs[2]);
}

static void expect_broadcast(const char *const *words)
{
    static const char lines[] = "python a\nswig b\nboth swig and python\nperl\nnothing\n";
    struct program p;
    start(&p, words);
    ssize_t said = write(p.in, lines, sizeof lines - 1);
    assert_int_equal(finish(&p), 0);
    assert_int_equal(said, sizeof lines - 1);
    assert_string_equal(p.text,
                        "python a\nswig b\nboth swig and python\nboth swig and python\nperl\n");
}

TEST(broadcast)
{
    expect_broadcast(WORDS("broadcast", "python", "swig", "perl"));
    expect_broadcast(WORDS("broadcast", "-j", "python", "swig", "perl"));
}

TEST(cocrash)
{
    struct program p;
    start(&p, WORDS("cocrash"));
    assert_int_equal(finish(&p), 0);
    assert_non_null(strstr(p.text, "the generator is already executing\nnothing was lost\n"));
}

TEST(benchmark)
{
    struct program p;
    start(&p, WORDS("benchmark", "10000"));
    assert_int_equal(finish(&p), 0);
    assert_non_null(strstr(p.text, "10000 items, sums equal\n"));
}

/* Two loops drive the same coroutines; the order of lines in one tick is not promised. */
TEST(own_loop)
{
    static const char *const loops[] = {"own", "cio"};
    for (int i = 0; i < 2; i++) {
        struct program p;
        start(&p, WORDS("ownloop", loops[i], "0.02"));
        assert_int_equal(finish(&p), 0);
        const char *first = strstr(p.text, "A T-minus 5\n");
        assert_non_null(first);
        static const char *const order[] = {"A T-minus 5", "A T-minus 4", "A T-minus 3",
                                            "A T-minus 2", "A T-minus 1", "A lift-off!"};
        for (int j = 0; j < 6; j++) {
            const char *next = strstr(first, order[j]);
            assert_non_null(next);
            assert_true(next >= first);
            first = next;
        }
        assert_true(strstr(p.text, "C T-minus 4") > strstr(p.text, "A T-minus 5"));
        assert_true(strstr(p.text, "B T-minus 3") > strstr(p.text, "C T-minus 4"));
        assert_non_null(strstr(p.text, "B lift-off!"));
        assert_non_null(strstr(p.text, "C lift-off!"));
    }
}

/* ---- buses ---- */

static void expect_buses(const char *xml, const char *mode, const char *answer)
{
    static struct program p;
    start(&p, WORDS("buses", xml, mode));
    assert_int_equal(finish(&p), 0);
    assert_string_equal(p.text, answer);
}

static void read_file(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, room - 1, file);
    text[n] = '\0';
    fclose(file);
}

/* An XML file with the answer to it: returns false where that cannot be made. */
static void make_buses(char *xml, char *answer, size_t room)
{
    static struct program p;
    static char copy[4 << 20];
    char path[] = "/tmp/cio-answer-XXXXXX";
    int fd = mkstemp(path), xml_fd = mkstemp(xml);
    assert_true(fd >= 0 && xml_fd >= 0);
    close(fd);
    start(&p, WORDS("buses_make", "1000", path));
    size_t used = 0;
    ssize_t n;
    while ((n = read(p.out, copy + used, sizeof copy - used)) > 0)
        used += (size_t)n;
    int code = finish(&p);
    assert_int_equal(write(xml_fd, copy, used), used);
    close(xml_fd);
    read_file(path, answer, room);
    unlink(path);
    assert_int_equal(code, 0);
}

TEST(buses_by_every_way)
{
    static const char *const modes[] = {"push", "thread", "process", "pull"};
    static char answer[65536];
    char xml[] = "/tmp/cio-buses-XXXXXX";
    make_buses(xml, answer, sizeof answer);
    assert_true(strlen(answer) > 1000);
    assert_int_equal(strncmp(answer, "22,", 3), 0);
    for (int i = 0; i < 4; i++)
        expect_buses(xml, modes[i], answer);
    unlink(xml);
}

TEST(buses_events)
{
    static struct program p;
    char xml[] = "/tmp/cio-buses-XXXXXX";
    int fd = mkstemp(xml);
    static const char text[] = "<buses><bus><id>7</id></bus></buses>";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    expect_buses(xml, "events",
                 "start buses\nstart bus\nstart id\ntext 7\nend id\nend bus\n"
                 "end buses\n");
    expect_buses(xml, "push", "");
    assert_int_equal(truncate(xml, 20), 0); /* no XML any more */
    static const char *const modes[] = {"push", "thread", "process", "pull"};
    for (int i = 0; i < 4; i++) {
        start(&p, WORDS("buses", xml, modes[i]));
        assert_int_equal(finish(&p), 1);
    }
    unlink(xml);
}

/* ---- the operating system ---- */

TEST(pyos_1_tasks)
{
    expect(WORDS("pyos", "1"), "Running foo()\nPart 1\nResuming foo()\nPart 2\n");
}

TEST(pyos_2_scheduler)
{
    struct program p;
    char expected[20 * 16 + 1] = "";
    start(&p, WORDS("pyos", "2"));
    for (int i = 0; i < 20; i++)
        strcat(expected, i % 2 ? "I'm bar\n" : "I'm foo\n");
    ssize_t n = 1;
    for (size_t used = 0; used < strlen(expected) && n > 0; used += (size_t)n)
        n = read(p.out, p.text + used, 16);
    kill(p.pid, SIGKILL); /* it would go on for ever */
    int code = finish(&p);
    assert_memory_equal(p.text, expected, strlen(expected));
    assert_int_equal(code, -SIGKILL);
}

TEST(pyos_2_a_task_that_ends_kills_the_scheduler)
{
    struct program p;
    start(&p, WORDS("pyos", "2", "10"));
    assert_int_equal(finish(&p), 1);
    char expected[20 * 16 + 1] = "";
    for (int i = 0; i < 20; i++)
        strcat(expected, i % 2 ? "I'm bar\n" : "I'm foo\n");
    assert_string_equal(p.text, expected);
}

TEST(pyos_3_the_end_of_tasks)
{
    expect(WORDS("pyos", "3"),
           "I'm foo\nI'm bar\nI'm foo\nI'm bar\nI'm foo\nI'm bar\nI'm foo\nI'm bar\n"
           "I'm foo\nI'm bar\nI'm foo\nTask 2 terminated\n"
           "I'm foo\nI'm foo\nI'm foo\nI'm foo\nTask 1 terminated\n");
}

TEST(pyos_4_system_calls)
{
    expect(WORDS("pyos", "4"),
           "I'm foo 1\nI'm bar 2\nI'm foo 1\nI'm bar 2\nI'm foo 1\nI'm bar 2\n"
           "I'm foo 1\nI'm bar 2\nI'm foo 1\nI'm bar 2\nTask 1 terminated\n"
           "I'm bar 2\nI'm bar 2\nI'm bar 2\nI'm bar 2\nI'm bar 2\nTask 2 terminated\n");
}

TEST(pyos_5_making_and_killing)
{
    expect(WORDS("pyos", "5"), "I'm foo 2\nI'm foo 2\nI'm foo 2\nI'm foo 2\nI'm foo 2\n"
                               "Task 2 terminated\nmain done\nTask 1 terminated\n");
}

TEST(pyos_6_waiting)
{
    expect(WORDS("pyos", "6"), "I'm foo\nWaiting for child\nI'm foo\nI'm foo\nI'm foo\nI'm foo\n"
                               "Task 2 terminated\nChild done\nTask 1 terminated\n");
}

TEST(pyos_trampoline)
{
    expect(WORDS("pyos", "trampoline"), "4\n");
}

static int port_of(struct program *p)
{
    int port = 0;
    char last = 0;
    const char *line = NULL;
    do {
        read_until(p, "port ");
        line = strstr(p->text, "port ");
        if (!line)
            finish(p); /* skips, if it was not to be had */
        if (!strchr(line, '\n')) {
            size_t used = strlen(p->text);
            if (read(p->out, p->text + used, 1) == 1)
                p->text[used + 1] = '\0';
        }
    } while (!strchr(line, '\n'));
    assert_int_equal(sscanf(line, "port %d%c", &port, &last), 2);
    return port;
}

static int client(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void echo(int fd, const char *text)
{
    char back[64] = "";
    size_t size = strlen(text), got = 0;
    assert_int_equal(write(fd, text, size), size);
    while (got < size) {
        ssize_t n = read(fd, back + got, size - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(back, text, size);
}

/* Whether it says once more that it is alive. */
static void expect_alive(struct program *p)
{
    p->text[0] = '\0';
    read_until(p, "I'm alive\n");
    assert_non_null(strstr(p->text, "I'm alive\n"));
}

static void serve_many(const char *step)
{
    enum { CLIENTS = 10 };
    struct program p;
    int clients[CLIENTS];
    start(&p, WORDS("pyos_echo", step));
    int port = port_of(&p);
    expect_alive(&p); /* though it waits for a client */
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client(port);
    for (int round = 0; round < 3; round++)
        for (int i = CLIENTS - 1; i >= 0; i--)
            echo(clients[i], "hello to the other side");
    expect_alive(&p);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    read_until(&p, "Client closed\n");
    expect_alive(&p);
    kill(p.pid, SIGKILL);
    assert_int_equal(finish(&p), -SIGKILL);
}

TEST(pyos_7_waiting_for_sockets)
{
    serve_many("7");
}

TEST(pyos_8_subroutines)
{
    serve_many("8");
}

/* The server that does not wait in the system's way stops everybody in its accept. */
TEST(pyos_7_what_blocks_blocks_all)
{
    struct program p;
    start(&p, WORDS("pyos_echo", "bad"));
    int port = port_of(&p);
    usleep(300000);
    fcntl(p.out, F_SETFL, O_NONBLOCK);
    p.text[0] = '\0';
    ssize_t n = read(p.out, p.text, sizeof p.text);
    assert_true(n < 0 && errno == EAGAIN); /* nobody is alive */
    fcntl(p.out, F_SETFL, 0);
    int fd = client(port);
    read_until(&p, "I'm alive\n");
    assert_non_null(strstr(p.text, "I'm alive\n"));
    close(fd);
    kill(p.pid, SIGKILL);
    assert_int_equal(finish(&p), -SIGKILL);
}

/* ---- the network: one echo server by threads, coroutines, callbacks and tasks ---- */

static void expect_refusal(const char *const *words)
{
    struct program p;
    start(&p, words);
    assert_int_equal(finish(&p), 2);
}

static void blast(const char *const *server)
{
    static struct program p, blaster;
    char port[8], expected[64];
    start(&p, server);
    snprintf(port, sizeof port, "%d", port_of(&p));
    int idle = client(atoi(port)); /* one that says nothing holds up nobody */
    int rude = client(atoi(port)); /* nor does one that leaves in the middle */
    assert_int_equal(write(rude, "x", 1), 1);
    struct linger reset = {.l_onoff = 1};
    setsockopt(rude, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(rude);
    int messages = test_scale(5000);
    char count[16];
    snprintf(count, sizeof count, "%d", messages);
    start(&blaster, WORDS("blaster", port, "100", count, "1024"));
    assert_int_equal(finish(&blaster), 0);
    snprintf(expected, sizeof expected, "%d messages, 0 wrong, ", messages);
    assert_int_equal(strncmp(blaster.text, expected, strlen(expected)), 0);
    start(&blaster, WORDS("blaster", port, "10", "20", "65536"));
    assert_int_equal(finish(&blaster), 0);
    echo(idle, "still here");
    close(idle);
    kill(p.pid, SIGKILL);
    assert_int_equal(finish(&p), -SIGKILL);
}

TEST(echo_by_threads)
{
    blast(WORDS("echo_threads"));
}

TEST(echo_by_coroutines)
{
    blast(WORDS("pyos_echo", "quiet"));
}

TEST(echo_by_callbacks)
{
    blast(WORDS("echo_callbacks"));
}

TEST(echo_by_tasks)
{
    blast(WORDS("echo_tasks"));
}

/* What answers wrongly is found out. */
TEST(blaster_counts_wrong_answers)
{
    struct program p;
    char port[8];
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    start(&p, WORDS("blaster", port, "1", "2", "8"));
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char text[8];
    assert_int_equal(recv(fd, text, 8, MSG_WAITALL), 8);
    assert_int_equal(write(fd, text, 8), 8);
    assert_int_equal(recv(fd, text, 8, MSG_WAITALL), 8);
    text[3]++;
    assert_int_equal(write(fd, text, 8), 8);
    int code = finish(&p);
    close(fd);
    close(listener);
    assert_int_equal(code, 1);
    assert_int_equal(strncmp(p.text, "2 messages, 1 wrong, ", 21), 0);
}

/* The figures are the machine's; that every message came back right is not. */
TEST(runblaster_compares_them)
{
    static const char *const servers[] = {"threads", "coroutines", "callbacks", "tasks"};
    struct program p;
    char messages[16];
    int n = test_scale(2000);
    snprintf(messages, sizeof messages, "%d", n);
    start(&p, WORDS("runblaster", "-c", "30", "-m", messages, "-s", "1024", "-p", "3"));
    assert_int_equal(finish(&p), 0);
    const char *line = p.text;
    for (int skipped = 0; skipped < 2; skipped++) /* what is measured, and the heads of columns */
        line = strchr(line, '\n') + 1;
    for (int i = 0; i < 4; i++) {
        char name[16];
        long came, wrong;
        double seconds, rate, used;
        assert_int_equal(
            sscanf(line, "%15s %ld %ld %lf %lf %lf", name, &came, &wrong, &seconds, &rate, &used),
            6);
        assert_string_equal(name, servers[i]);
        assert_int_equal(came, 3 * n);
        assert_int_equal(wrong, 0);
        assert_true(seconds > 0 && rate > 0 && used >= 0);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
}

TEST(network_programs_refuse_bad_input)
{
    expect_refusal(WORDS("echo_threads", "65536"));
    expect_refusal(WORDS("echo_callbacks", "x"));
    expect_refusal(WORDS("echo_tasks", "-1"));
    expect_refusal(WORDS("pyos_echo", "9"));
    expect_refusal(WORDS("pyos_echo", "7", "port"));
    expect_refusal(WORDS("blaster"));
    expect_refusal(WORDS("blaster", "0"));
    expect_refusal(WORDS("blaster", "1", "0"));
    expect_refusal(WORDS("blaster", "1", "1", "1", "65537"));
    expect_refusal(WORDS("runblaster", "-p", "0"));
    expect_refusal(WORDS("runblaster", "-c", "many"));
    expect_refusal(WORDS("runblaster", "twisted"));
    expect_refusal(WORDS("logsim"));
    expect_refusal(WORDS("logsim", "/dev/null", "-1"));
    expect_refusal(WORDS("logsim", "/dev/null", "1", "soon"));
}
