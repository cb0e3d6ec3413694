"""nats-py, with a flush() that keeps what it promises."""

import nats.aio.client


class Client(nats.aio.client.Client):
    """nats-py hands flush()'s PING straight to the socket, while the SUBs, UNSUBs and PUBs before it wait for a task of their own; so
    the PONG may come before the server has seen them (nats-py 2.16.0, aio/client.py, _send_ping; at nats-server the scenarios
    fail without this, too). A second round trip begins when that task has run."""

    async def flush(self, timeout=30):
        await super().flush(timeout)
        await super().flush(timeout)


async def connect(servers, **options):
    client = Client()
    await client.connect(servers, **options)
    return client
