"""The pages of a process, asked for as kubelet asks."""

import asyncio

_HEADERS = "Host: 10.0.0.7:9092\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close"


async def page(port: int, path: str, key: str = "") -> tuple[int, str]:
    """Status and text."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\n{_HEADERS}\r\nX-API-Key: {key}\r\n\r\n"
    writer.write(request.encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body
