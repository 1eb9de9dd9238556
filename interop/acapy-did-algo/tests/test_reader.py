"""Reads over HTTP: what nodes answer, and what is made of it."""

import asyncio
import unittest
from base64 import b64decode

import rfc8785
from aiohttp import web

from acapy_did_algo.algod import Algod, read_networks, read_timeout
from acapy_did_algo.errors import DidAlgoError
from acapy_did_algo.identifiers import parse_id
from acapy_did_algo.reader import DidAlgoReader

from .node import GENESIS, Node
from .vectors import VECTORS, bits_of, boxes_of_object

REGISTRY = VECTORS["names"]["registry"]
SCHEMA = VECTORS["objects"][0]


class Settings(unittest.TestCase):
    """The configuration."""

    def test_networks(self):
        networks = read_networks({"testnet": {"url": "https://node.example/"}, "custom": {"url": "http://x:1", "token": "t"}})
        self.assertEqual(networks["testnet"].url, "https://node.example")
        self.assertEqual(networks["testnet"].genesis_hash, "SGO1GKSzyE7IEPItTxCByw9x8FmnrCDexi9/cOUJOiI=")
        self.assertEqual((networks["custom"].token, networks["custom"].genesis_hash), ("t", None))

    def test_what_cannot_be_used_is_refused_with_a_reason(self):
        node = {"url": "http://x"}
        for wrong in ({"othernet": node}, {"custom": {}}, {"custom": {"url": "ftp://x"}}, {"custom": {**node, "tokem": "t"}}, {"custom": "http://x"}):
            with self.subTest(wrong), self.assertRaises(ValueError):
                read_networks(wrong)

    def test_timeout(self):
        self.assertEqual((read_timeout(None), read_timeout(2)), (10.0, 2.0))
        for wrong in (0, -1, 301, "5", True):
            with self.subTest(wrong), self.assertRaises(ValueError):
                read_timeout(wrong)


class Reads(unittest.IsolatedAsyncioTestCase):
    """Objects and lists."""

    async def asyncSetUp(self):
        self.node = await self.enterAsyncContext(Node())
        for vector in VECTORS["objects"]:
            if "error" not in vector:
                self.node.boxes |= boxes_of_object(vector)

    def put_log(self, what):
        """Give the registry of the vectors the log of a vector of its size."""
        vector = next(one for one in VECTORS["logs"] if one["what"].startswith(what))
        id = parse_id(REGISTRY)
        self.node.boxes[id.head_box] = b64decode(vector["head"])
        for number, box in vector["segments"].items():
            self.node.boxes[id.segment_box(int(number))] = b64decode(box)
        return vector

    async def fails(self, read, code):
        """Expect an error."""
        with self.assertRaises(DidAlgoError) as caught:
            await read
        self.assertEqual(caught.exception.code, code, str(caught.exception))
        return str(caught.exception)

    async def test_objects_are_read_once(self):
        reader = DidAlgoReader(self.node.algod())
        for vector in VECTORS["objects"]:
            if "error" in vector:
                continue
            for _ in range(2):
                found = await reader.read_object(vector["id"], vector["type"])
                self.assertEqual(rfc8785.dumps(found).decode(), vector["canonical"])
        boxes = [name for name in self.node.asked if name != "params"]
        self.assertEqual(len(boxes), len(set(boxes)))
        self.assertEqual(self.node.asked.count("params"), 1)

    async def test_what_is_not_there_and_what_is_another(self):
        reader = DidAlgoReader(self.node.algod())
        unsealed = next(one for one in VECTORS["objects"] if one.get("error") == "object-not-found")
        self.node.boxes |= boxes_of_object(unsealed)
        await self.fails(reader.read_object(unsealed["id"], "SCHEMA"), "object-not-found")
        await self.fails(reader.read_object(SCHEMA["id"][:-1] + "A", "SCHEMA"), "object-not-found")
        await self.fails(reader.read_object(SCHEMA["id"].replace("1001", "1002"), "SCHEMA"), "object-not-found")
        await self.fails(reader.read_object(SCHEMA["id"], "CLAIM_DEF"), "identifier-invalid")
        await self.fails(reader.read_object("did:algo:x", "SCHEMA"), "identifier-invalid")
        await self.fails(reader.read_object(SCHEMA["id"].replace(":custom", ":testnet"), "SCHEMA"), "network-unknown")
        other = next(one for one in VECTORS["objects"] if one.get("error") == "object-invalid")
        self.node.boxes |= boxes_of_object(other)
        await self.fails(reader.read_object(other["id"], "SCHEMA"), "object-invalid")

    async def test_a_continued_object_lacks_a_part(self):
        vector = next(one for one in VECTORS["objects"] if one.get("parts"))
        del self.node.boxes[b64decode(vector["parts"][1]["box"])]
        await self.fails(DidAlgoReader(self.node.algod()).read_object(vector["id"], "SCHEMA"), "object-not-found")

    async def test_lists(self):
        vector = self.put_log("whole and toggled")
        reader = DidAlgoReader(self.node.algod())
        for expected in vector["reads"]:
            with self.subTest(at=expected.get("at")):
                if "error" in expected:
                    await self.fails(reader.read_status_list(REGISTRY, expected.get("at")), expected["error"])
                    continue
                found = await reader.read_status_list(REGISTRY, expected.get("at"))
                bits = bits_of(expected["revoked"])
                self.assertEqual(
                    found,
                    {
                        "issuerId": VECTORS["names"]["did"],
                        "revRegDefId": REGISTRY,
                        "revocationList": [bits >> index & 1 for index in range(1000)],
                        "currentAccumulator": expected["accumulator"],
                        "timestamp": expected["time"],
                    },
                )

    async def test_lists_are_read_each_time(self):
        reader = DidAlgoReader(self.node.algod())
        await self.fails(reader.read_status_list(REGISTRY), "object-not-found")
        self.put_log("whole and toggled")
        await reader.read_status_list(REGISTRY)
        id = parse_id(REGISTRY)
        self.node.boxes[id.head_box] = self.node.boxes[id.head_box][:-1]
        await self.fails(reader.read_status_list(REGISTRY), "object-invalid")
        await self.fails(reader.read_status_list(SCHEMA["id"]), "identifier-invalid")

    async def test_a_record_comes_between_two_reads(self):
        vector = self.put_log("whole and toggled")
        late = self.node.boxes[parse_id(REGISTRY).head_box]
        stale = bytearray(late)
        stale[32] ^= 1
        self.node.boxes[parse_id(REGISTRY).head_box] = bytes(stale)

        async def catches_up(request):
            if request.query["name"].startswith("b64:Z"):
                self.node.boxes[parse_id(REGISTRY).head_box] = late

        self.node.fault = catches_up
        found = await DidAlgoReader(self.node.algod()).read_status_list(REGISTRY)
        self.assertEqual(found["timestamp"], vector["reads"][-1]["time"])

    async def test_nodes_that_misbehave(self):
        async def slow(_):
            await asyncio.sleep(30)

        async def long(_):
            return web.Response(body=b" " * 300_000)

        async def elsewhere(_):
            raise web.HTTPFound(self.node.url + "/v2/transactions/params")

        async def failing(_):
            return web.json_response({"message": "out of order"}, status=500)

        async def text(_):
            return web.Response(text="<html>")

        async def another(_):
            return web.json_response({"name": "AAAA", "value": SCHEMA["value"]})

        async def garbled(request):
            return web.json_response({"name": request.query["name"][4:], "value": "not base64!"})

        async def no_path(_):
            return web.json_response({"message": "Not Found"}, status=404)

        for fault in (slow, long, elsewhere, failing, text, another, garbled, no_path):
            with self.subTest(fault.__name__):
                self.node.fault = fault
                reader = DidAlgoReader(self.node.algod(timeout=0.5))
                message = await self.fails(reader.read_object(SCHEMA["id"], "SCHEMA"), "ledger-unavailable")
                self.assertTrue(message)
        self.node.fault = None
        await reader.read_object(SCHEMA["id"], "SCHEMA")

    async def test_a_node_of_another_network_a_wrong_token_and_none(self):
        read = lambda algod: DidAlgoReader(algod).read_object(SCHEMA["id"], "SCHEMA")  # noqa: E731
        self.assertIn("genesis", await self.fails(read(self.node.algod(genesis="b3RoZXI=")), "ledger-unavailable"))
        self.assertIn("401", await self.fails(read(self.node.algod(token="")), "ledger-unavailable"))
        gone = Algod(read_networks({"custom": {"url": "http://127.0.0.1:1", "genesis_hash": GENESIS}}))
        await self.fails(read(gone), "ledger-unavailable")
        await read(self.node.algod(genesis=None))


if __name__ == "__main__":
    unittest.main()
