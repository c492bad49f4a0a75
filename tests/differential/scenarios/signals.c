/* Signals to the loop. scenario_signals.py is the twin. */
#include <signal.h>
#include <unistd.h>

#include "trace.h"

static cio_context_var var = CIO_CONTEXT_VAR_INIT("var", "default");

static void say_name(void *arg)
{
    say("%s, %s", (char *)arg, (char *)cio_context_get(&var));
}

static int add(int number, cio_handle *handle, const char *name)
{
    return cio_add_signal_handler(cio_get_running_loop(), number, handle, say_name, (char *)name);
}

static int take_back(int number)
{
    return cio_remove_signal_handler(cio_get_running_loop(), number);
}

SCENARIO(a_signal)
{
    cio_handle handle = CIO_HANDLE_INIT;
    add(SIGUSR1, &handle, "usr1");
    kill(getpid(), SIGUSR1);
    say("sent");
    wait_turns(4);
    kill(getpid(), SIGUSR1);
    say("sent");
    wait_turns(4);
    say("removed %d", take_back(SIGUSR1));
    say("removed %d", take_back(SIGUSR1));
    return 0;
}

SCENARIO(signals_in_order)
{
    cio_handle handles[3] = {{0}};
    add(SIGUSR1, &handles[0], "usr1");
    add(SIGUSR2, &handles[1], "usr2");
    add(SIGTERM, &handles[2], "term");
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    say("sent");
    wait_turns(4);
    take_back(SIGUSR1);
    take_back(SIGUSR2);
    take_back(SIGTERM);
    return 0;
}

SCENARIO(a_signal_between_callbacks)
{
    cio_handle handle = CIO_HANDLE_INIT, soon[2] = {{0}};
    add(SIGUSR1, &handle, "usr1");
    cio_call_soon(cio_get_running_loop(), &soon[0], say_name, "before");
    kill(getpid(), SIGUSR1);
    cio_call_soon(cio_get_running_loop(), &soon[1], say_name, "after");
    wait_turns(4);
    take_back(SIGUSR1);
    return 0;
}

SCENARIO(a_handler_replaced)
{
    cio_handle handles[2] = {{0}};
    add(SIGUSR1, &handles[0], "first");
    add(SIGUSR1, &handles[1], "second");
    kill(getpid(), SIGUSR1);
    wait_turns(4);
    say("removed %d", take_back(SIGUSR1));
    return 0;
}

SCENARIO(context_of_a_handler)
{
    cio_handle handle = CIO_HANDLE_INIT;
    cio_context_set(&var, "registered", NULL);
    add(SIGUSR1, &handle, "usr1");
    cio_context_set(&var, "later", NULL);
    kill(getpid(), SIGUSR1);
    wait_turns(4);
    take_back(SIGUSR1);
    return 0;
}

SCENARIO(signals_refused)
{
    static const int numbers[] = {SIGKILL, SIGSTOP, 0, -3, 65, 1000};
    cio_handle handle = CIO_HANDLE_INIT;
    for (int i = 0; i < 6; i++)
        say("%d %s", numbers[i], add(numbers[i], &handle, "") < 0 ? "refused" : "taken");
    return 0;
}

SCENARIO(a_handler_of_sigint)
{
    cio_handle handle = CIO_HANDLE_INIT;
    add(SIGINT, &handle, "int");
    kill(getpid(), SIGINT);
    wait_turns(3);
    kill(getpid(), SIGINT);
    say("wait: %s", how(wait_turns(3)));
    take_back(SIGINT);
    return 0;
}
