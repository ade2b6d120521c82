"""A TCP cable to a server: it can be pulled out, and put back in."""

import asyncio

from held_ports import free_port


class Cable:
    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._pieces: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def plug_in(self) -> None:
        """At the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def pull_out(self) -> None:
        """Connections break, and new ones are refused."""
        if self._server is not None:
            self._server.close()
        for piece in tuple(self._pieces):
            piece.cancel()
        await asyncio.gather(*self._pieces, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.close()
            return
        for source, target in ((reader, far_writer), (far_reader, writer)):
            piece = asyncio.create_task(_carry(source, target))
            self._pieces.add(piece)
            piece.add_done_callback(self._pieces.discard)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass  # the other side hung up
    finally:
        target.close()
