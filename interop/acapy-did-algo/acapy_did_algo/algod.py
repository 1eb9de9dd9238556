"""Boxes of applications, read over algod's REST API."""

import asyncio
import json
import re
from base64 import b64decode, b64encode
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, AsyncIterator, Mapping, NamedTuple

import aiohttp

from .errors import DidAlgoError

_GENESIS = {
    "mainnet": "wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=",
    "testnet": "SGO1GKSzyE7IEPItTxCByw9x8FmnrCDexi9/cOUJOiI=",
    "betanet": "mFgazF+2uRS1tMiL9dsj01hJGySEmPN28B/TjjvpVW0=",
}
_NETWORKS = (*_GENESIS, "custom")
_MAX_ANSWER = 131_072
_VERIFIED_SECONDS = 60
_DEFAULT_TIMEOUT = 10.0
_MEMBERS = {"url", "token", "genesis_hash"}
_NO_BOX = re.compile(r"box not found|application does not exist", re.IGNORECASE)


class Network(NamedTuple):
    """A node: its address, its API token, and the genesis hash (base64) that it must have, where that is known."""

    url: str
    token: str
    genesis_hash: str | None


def read_networks(given: Mapping[str, Any]) -> dict[str, Network]:
    """Read the networks of a configuration. Raises ValueError with the reason."""
    networks = {}
    for name, members in given.items():
        if name not in _NETWORKS:
            raise ValueError(f"networks has {name}; a did:algo names one of {', '.join(_NETWORKS)}")
        if not isinstance(members, Mapping) or not isinstance(members.get("url"), str):
            raise ValueError(f"networks.{name} needs the url of an algod")
        if unknown := set(members) - _MEMBERS:
            raise ValueError(f"networks.{name} has no {', '.join(sorted(unknown))}")
        url = members["url"].rstrip("/")
        if not re.match(r"https?://[^/]", url):
            raise ValueError(f"networks.{name}.url is not an http or https URL")
        genesis = members.get("genesis_hash", _GENESIS.get(name))
        networks[name] = Network(url, str(members.get("token", "")), genesis)
    return networks


def read_timeout(given: Any) -> float:
    """Read the seconds that one request to a node may take. Raises ValueError with the reason."""
    if given is None:
        return _DEFAULT_TIMEOUT
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= 300:
        raise ValueError("timeout is a number of seconds, at most 300")
    return float(given)


class Algod:
    """The nodes of the networks that are configured."""

    def __init__(self, networks: Mapping[str, Network], timeout: float = _DEFAULT_TIMEOUT):
        """Take networks by their names, and the seconds that a request may take."""
        self._networks = networks
        self._timeout = timeout
        self._verified: dict[str, float] = {}

    @asynccontextmanager
    async def reader(self, network: str) -> AsyncIterator["Reader"]:
        """Open connections to the node of a network, which must have the expected genesis.

        Raises DidAlgoError `network-unknown`, `ledger-unavailable`.
        """
        node = self._networks.get(network)
        if node is None:
            raise DidAlgoError("network-unknown", f"no algod is configured for the network {network}")
        headers = {"X-Algo-API-Token": node.token} if node.token else {}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=self._timeout)) as session:
            reader = Reader(session, node.url)
            if node.genesis_hash is not None and self._verified.get(network, 0.0) < monotonic():
                await reader.verify(node.genesis_hash)
                self._verified[network] = monotonic() + _VERIFIED_SECONDS
            yield reader


class Reader:
    """Reads of one node."""

    def __init__(self, session: aiohttp.ClientSession, url: str):
        """Take a session, and the node's address without a slash at its end."""
        self._session = session
        self._url = url

    async def _get(self, path: str, **params: str) -> tuple[int, dict[str, Any]]:
        try:
            async with self._session.get(self._url + path, params=params, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MAX_ANSWER:
                        raise DidAlgoError("ledger-unavailable", "the node's answer is too long")
                status = response.status
        except asyncio.TimeoutError as error:
            raise DidAlgoError("ledger-unavailable", "the node did not answer in time") from error
        except aiohttp.ClientError as error:
            raise DidAlgoError("ledger-unavailable", f"the node cannot be reached: {error}") from error
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if status not in (200, 404) or not isinstance(answer, dict):
            reason = answer.get("message", "") if isinstance(answer, dict) else ""
            raise DidAlgoError("ledger-unavailable", f"the node answered {status} {str(reason)[:200]}".rstrip())
        return status, answer

    async def verify(self, genesis_hash: str) -> None:
        """Check the network that the node serves. Raises DidAlgoError `ledger-unavailable`."""
        status, answer = await self._get("/v2/transactions/params")
        if status != 200 or answer.get("genesis-hash") != genesis_hash:
            found = str(answer.get("genesis-hash"))[:100]
            raise DidAlgoError("ledger-unavailable", f"the node serves genesis {found}, expected {genesis_hash}")

    async def box(self, application: int, name: bytes) -> bytes | None:
        """Return the value of a box; None where there is none. Raises DidAlgoError `ledger-unavailable`."""
        encoded = b64encode(name).decode()
        status, answer = await self._get(f"/v2/applications/{application}/box", name=f"b64:{encoded}")
        if status == 404:
            if _NO_BOX.search(str(answer.get("message"))):
                return None
            raise DidAlgoError("ledger-unavailable", "the node does not know the path of a box: is its URL right?")
        try:
            if answer.get("name") != encoded:
                raise ValueError("another box")
            return b64decode(answer["value"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise DidAlgoError("ledger-unavailable", "the node's answer is not the box") from error
