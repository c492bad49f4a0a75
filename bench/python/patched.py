"""Loops that are made of two packages."""


def aiofastnet_on_uvloop():
    """uvloop's scheduling, aiofastnet's transports and TLS."""
    import aiofastnet
    import uvloop

    return aiofastnet.loop_factory(uvloop.new_event_loop)()
