"""A TCP proxy before the node, whose connections can be cut."""

import asyncio
import contextlib
from urllib.parse import urlsplit


class Proxy:
    """Listens on a port of its own while it is entered."""

    def __init__(self, target: str):
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._transports = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"ws://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self.cut()
        self._server.close()

    def cut(self) -> int:
        """Resets all connections, and tells how many."""
        cut = list(self._transports)
        for transport in cut:
            transport.abort()
        return len(cut)

    async def _serve(self, reader, writer):
        node_reader, node_writer = await asyncio.open_connection(*self._target)
        self._transports.add(writer.transport)
        pipes = [self._pipe(reader, node_writer), self._pipe(node_reader, writer)]
        await asyncio.gather(*pipes)
        self._transports.discard(writer.transport)

    @staticmethod
    async def _pipe(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
