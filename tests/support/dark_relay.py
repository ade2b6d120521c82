"""A TCP relay that can go dark: connections stay open, and nothing passes any more."""

import asyncio


class Relay:
    """To a port of 127.0.0.1. What came while it was dark passes when it is not any more."""

    def __init__(self, port: int) -> None:
        self.dark = False
        self.url = ""  # whoever starts it may say how it is called
        self._to = port
        self._relays: set[asyncio.Task[None]] = set()
        self._connections = self._lost = 0

    async def start(self) -> str:
        """Its address, host:port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def lose(self) -> None:
        """As if the host behind had gone and another come: what is open stays so, and is dead."""
        self._lost = self._connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target, number))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, number: int
    ) -> None:
        try:
            while data := await source.read(65_536):
                while self.dark or number <= self._lost:
                    await asyncio.sleep(0.05)
                target.write(data)
        except ConnectionError:
            pass  # the other side hung up
        finally:
            target.close()

    async def stop(self) -> None:
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
