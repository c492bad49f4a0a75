"""Lookups that ask nobody, in every combination; and the order in which addresses are tried."""

import asyncio
import asyncio.base_events
import socket

from trace_asyncio import say, scenario

ERRORS = {
    getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")
}


def line_of(info):
    family, kind, protocol, name, address = info
    host, port = socket.getnameinfo(
        address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    )
    name = f"={name}" if name else ""
    return f" {int(family)}/{int(kind)}/{protocol}:{host}:{port}{name}"


async def ask(host, service, family, kind, flags):
    loop = asyncio.get_running_loop()
    for protocol in (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        question = f"{host or '-'} {service or '-'} {family} {kind} {protocol} {flags}"
        try:
            found = await loop.getaddrinfo(
                host, service, family=family, type=kind, proto=protocol, flags=flags
            )
        except socket.gaierror as error:
            say(f"{question}: {ERRORS[error.errno]}")
        else:
            say(f"{question}:{''.join(sorted(map(line_of, found)))}")


@scenario(ticks=False)
async def names_numbers():
    hosts = [None, "127.0.0.1", "::1", "::ffff:1.2.3.4", "127.1"]
    hosts += ["0x7f.1", "fe80::1%lo", "::1%3", "1.2.3.4.5", "x:y"]
    flags = (0, socket.AI_PASSIVE, socket.AI_CANONNAME, socket.AI_NUMERICSERV)
    flags += (socket.AI_V4MAPPED,)
    for host in hosts:
        numeric = socket.AI_NUMERICHOST if host else 0
        for service in (None, "80"):
            for family in (0, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
                for kind in (0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, 77):
                    for flag in flags:
                        await ask(host, service, int(family), int(kind), flag | numeric)
    return 0


state = 12345


def below(n):
    global state
    state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
    return (state >> 16) % n


@scenario(ticks=False)
async def names_interleaved():
    for _ in range(300):
        infos = [
            (socket.AF_INET6 if below(3) else socket.AF_INET, i)
            for i in range(1 + below(12))
        ]
        count = 1 + below(4)
        order = asyncio.base_events._interleave_addrinfos(infos, count)
        say(f"{count}:{''.join(f' {number}' for _, number in order)}")
    return 0
