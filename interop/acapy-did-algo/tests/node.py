"""A node on loopback that has the given boxes, and may misbehave."""

from base64 import b64decode, b64encode

from aiohttp import web

from acapy_did_algo.algod import Algod, Network

GENESIS = "Z2VuZXNpcw=="
TOKEN = "a" * 64


class Node:
    """algod's REST API, as far as this package uses it. `fault` may answer a request itself."""

    def __init__(self, application=1001):
        """Have no boxes yet."""
        self.application = application
        self.boxes: dict[bytes, bytes] = {}
        self.asked: list[str] = []
        self.fault = None
        self._runner = None

    async def _box(self, request):
        self.asked.append(request.query["name"])
        if request.headers.get("X-Algo-API-Token") != TOKEN:
            return web.json_response({"message": "Invalid API Token"}, status=401)
        if self.fault is not None and (answer := await self.fault(request)) is not None:
            return answer
        if int(request.match_info["app"]) != self.application:
            return web.json_response({"message": "application does not exist"}, status=404)
        name = b64decode(request.query["name"].removeprefix("b64:"))
        value = self.boxes.get(name)
        if value is None:
            return web.json_response({"message": "box not found"}, status=404)
        return web.json_response({"name": b64encode(name).decode(), "round": 9, "value": b64encode(value).decode()})

    async def _params(self, request):
        self.asked.append("params")
        return web.json_response({"genesis-hash": GENESIS})

    async def __aenter__(self):
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/v2/applications/{app}/box", self._box)
        app.router.add_get("/v2/transactions/params", self._params)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        """Close."""
        await self._runner.cleanup()

    def algod(self, timeout=5.0, genesis=GENESIS, token=TOKEN):
        """Return a reader's view of this node, as the network of the vectors."""
        return Algod({"custom": Network(self.url, token, genesis)}, timeout)
