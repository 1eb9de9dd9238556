"""The plug-in in ACA-Py's registry of registries."""

import json
import unittest
from base64 import b64decode

import acapy_did_algo
from acapy_agent.anoncreds.base import AnonCredsObjectNotFound, AnonCredsResolutionError
from acapy_agent.anoncreds.registry import AnonCredsRegistry
from acapy_agent.config.injection_context import InjectionContext
from acapy_agent.core.error import StartupError

from .node import GENESIS, TOKEN, Node
from .vectors import VECTORS, boxes_of_object

SCHEMA = VECTORS["objects"][0]
REGISTRY = VECTORS["names"]["registry"]


class Plugin(unittest.IsolatedAsyncioTestCase):
    """Set up as ACA-Py does it."""

    async def asyncSetUp(self):
        self.node = await self.enterAsyncContext(Node())
        for vector in VECTORS["objects"]:
            if "error" not in vector:
                self.node.boxes |= boxes_of_object(vector)
        log = next(one for one in VECTORS["logs"] if one["what"].startswith("whole and toggled"))
        names = VECTORS["names"]
        self.node.boxes[b64decode(names["head"])] = b64decode(log["head"])
        self.node.boxes[b64decode(names["segment0"])] = b64decode(log["segments"]["0"])
        self.registry = await self.set_up({"networks": {"custom": {"url": self.node.url, "token": TOKEN, "genesis_hash": GENESIS}}})

    async def set_up(self, settings):
        """Return ACA-Py's registry with the plug-in of these settings."""
        context = InjectionContext(settings={"plugin_config": {"acapy_did_algo": settings}})
        registry = AnonCredsRegistry()
        context.injector.bind_instance(AnonCredsRegistry, registry)
        await acapy_did_algo.setup(context)
        return registry

    async def test_schema(self):
        result = await self.registry.get_schema(None, SCHEMA["id"])
        self.assertEqual(result.schema.serialize(), json.loads(SCHEMA["canonical"]))
        self.assertEqual(result.schema_id, SCHEMA["id"])
        info = await self.registry.get_schema_info_by_id(None, SCHEMA["id"])
        self.assertEqual((info.issuer_id, info.name, info.version), (VECTORS["names"]["did"], "degree", "1.0"))

    async def test_registry_and_its_list(self):
        result = await self.registry.get_revocation_registry_definition(None, REGISTRY)
        canonical = next(one["canonical"] for one in VECTORS["objects"] if one["type"] == "REV_REG_DEF")
        self.assertEqual(result.revocation_registry.serialize(), json.loads(canonical))
        reads = next(one["reads"] for one in VECTORS["logs"] if one["what"].startswith("whole and toggled"))
        for read in reads:
            with self.subTest(at=read.get("at")):
                asked = self.registry.get_revocation_list(None, REGISTRY, 0, read.get("at"))
                if "error" in read:
                    with self.assertRaisesRegex(AnonCredsObjectNotFound, read["error"]):
                        await asked
                else:
                    found = (await asked).revocation_list
                    self.assertEqual((found.timestamp, found.current_accumulator), (read["time"], read["accumulator"]))
                    self.assertEqual(len(found.revocation_list), 1000)

    async def test_errors_have_reasons(self):
        with self.assertRaisesRegex(AnonCredsObjectNotFound, "object-not-found"):
            await self.registry.get_schema(None, SCHEMA["id"][:-1] + "A")
        with self.assertRaisesRegex(AnonCredsResolutionError, "identifier-invalid"):
            await self.registry.get_credential_definition(None, SCHEMA["id"])
        with self.assertRaisesRegex(AnonCredsResolutionError, "network-unknown"):
            await self.registry.get_schema(None, SCHEMA["id"].replace(":custom", ":testnet"))
        with self.assertRaisesRegex(AnonCredsResolutionError, "No resolver"):
            await self.registry.get_schema(None, "did:web:example.com/schema")

    async def test_a_configuration_that_cannot_be_used_stops_the_start(self):
        for wrong in ({"networks": {"othernet": {"url": "http://x"}}}, {"timeout": "soon"}):
            with self.subTest(wrong), self.assertRaises(StartupError):
                await self.set_up(wrong)
        with self.assertLogs("acapy_did_algo", "WARNING"):
            await self.set_up({})


if __name__ == "__main__":
    unittest.main()
