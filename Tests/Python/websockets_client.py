"""Talks over WebSockets, by the websockets package: websockets_client.py URL [AUTHORITY.pem]"""
import asyncio
import ssl
import sys

from websockets.asyncio.client import connect

url = sys.argv[1]
context = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None


async def talk(number):
    async with connect(url, ssl=context, max_size=None, open_timeout=60) as connection:
        for length in (0, 10, 65_536, 2_000_000):
            await connection.send("t" * length)
            assert await connection.recv() == "t" * length
            await connection.send(b"b" * length)
            assert await connection.recv() == b"b" * length
        for turn in range(100):
            await connection.send(f"{number} {turn}")
            assert await connection.recv() == f"{number} {turn}"
        await (await connection.ping())
    assert connection.close_code == 1000, connection.close_code


async def main():
    await asyncio.gather(*(talk(number) for number in range(20)))


asyncio.run(main())
