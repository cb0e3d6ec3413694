"""program.py URL[,URL] [scenario...]: runs the scenarios (default: all) at this server; the second URL is lame_duck's.

One line each, `ok <scenario>` or `FAILED <scenario>: why`; ends with 1 if any failed. Where the server has to be restarted
or sent away, it prints `ready restart` or `ready lame_duck` and goes on when it reads a line.
"""

import asyncio
import contextlib
import sys

from scenarios import ALL, Place

SCENARIO_SECONDS_MAX = 30


async def ask(what: str):
    print("ready", what, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def main(urls: str, names: list[str]) -> int:
    failed = 0
    known = {scenario.__name__: scenario for scenario in ALL}
    url, _, other_url = urls.partition(",")
    for name in names or known:
        try:
            async with contextlib.AsyncExitStack() as open_connections, asyncio.timeout(SCENARIO_SECONDS_MAX):
                await known[name](Place(url, other_url, open_connections, ask))
            print("ok", name, flush=True)
        except Exception as problem:  # whatever it is, it is this scenario's verdict
            failed += 1
            print(f"FAILED {name}: {type(problem).__name__}: {problem}".replace("\n", " "), flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
