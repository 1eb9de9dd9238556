"""The codec reads every vector."""

import unittest
import zlib
from base64 import b64decode

import rfc8785

from acapy_did_algo.errors import DidAlgoError
from acapy_did_algo.identifiers import parse_id
from acapy_did_algo.objects import inflate, parts_of, unpack_object
from acapy_did_algo.status_log import check_size, decode_record, open_log, state_at

from .vectors import VECTORS, bits_of, boxes_of_object

_FORMS = ("bitmap", "deflatedBitmap", "gaps", "deflatedGaps")


class LogVector:
    """The boxes of a log."""

    def __init__(self, vector):
        """Take a vector."""
        self._head = b64decode(vector["head"])
        self._segments = {int(number): b64decode(box) for number, box in vector["segments"].items()}

    async def head(self):
        """Return the head's box."""
        return self._head

    async def segment(self, number):
        """Return a segment's box."""
        return self._segments.get(number)


class Identifiers(unittest.TestCase):
    """Identifiers and names of boxes."""

    def test_names_of_boxes(self):
        names = VECTORS["names"]
        id = parse_id(names["registry"])
        self.assertEqual((id.did, id.key.hex()), (names["did"], names["key"]))
        boxes = (id.object_box, id.head_box, id.segment_box(0), id.segment_box(258))
        self.assertEqual(boxes, tuple(b64decode(names[name]) for name in ("resource", "head", "segment0", "segment258")))

    def test_a_did_is_normalised(self):
        id = VECTORS["names"]["registry"]
        self.assertEqual(parse_id(id.replace(":custom", "")).network, "mainnet")
        key = VECTORS["names"]["key"]
        self.assertEqual(parse_id(id.replace(key, key.upper())).did, VECTORS["names"]["did"])

    def test_what_is_no_identifier_is_refused(self):
        id = VECTORS["names"]["registry"]
        for wrong in ("", "did:algo:x", f"{id}\n", f" {id}", id[:-1], f"{id}A", id.replace("1001", "0"), id.replace("1001", str(2**64))):
            with self.subTest(wrong), self.assertRaises(DidAlgoError) as caught:
                parse_id(wrong)
            self.assertEqual(caught.exception.code, "identifier-invalid")


class Objects(unittest.TestCase):
    """Objects in boxes."""

    def test_vectors(self):
        for vector in VECTORS["objects"]:
            with self.subTest(vector["what"]):
                id = parse_id(vector["id"])
                boxes = boxes_of_object(vector)
                self.assertEqual(id.object_box, b64decode(vector["box"]))
                box = boxes[id.object_box]
                parts = [boxes[id.box_of(oid)] for oid in parts_of(box)]
                if vector.get("error") == "object-invalid":
                    with self.assertRaises(DidAlgoError):
                        unpack_object(id, box, parts)
                elif vector.get("error") == "object-not-found":
                    self.assertIsNone(unpack_object(id, box, parts))
                else:
                    self.assertEqual(rfc8785.dumps(unpack_object(id, box, parts)).decode(), vector["canonical"])

    def test_each_changed_byte_is_noticed(self):
        vector = VECTORS["objects"][0]
        id = parse_id(vector["id"])
        box = b64decode(vector["value"])
        for at in [0, 1, *range(18, len(box))]:
            with self.subTest(at):
                changed = box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]
                with self.assertRaises(DidAlgoError) as caught:
                    unpack_object(id, changed, [])
                self.assertEqual(caught.exception.code, "object-invalid")

    def test_another_type_and_another_issuer_are_refused(self):
        vector = VECTORS["objects"][0]
        key = VECTORS["names"]["key"]
        for wrong in (vector["id"].replace("/SCHEMA/", "/CLAIM_DEF/"), vector["id"].replace(key, "00" * 32)):
            with self.subTest(wrong), self.assertRaises(DidAlgoError):
                unpack_object(parse_id(wrong), b64decode(vector["value"]))

    def test_an_object_lacks_a_part(self):
        vector = next(one for one in VECTORS["objects"] if one.get("parts"))
        id = parse_id(vector["id"])
        parts = [b64decode(part["value"]) for part in vector["parts"]]
        self.assertIsNone(unpack_object(id, b64decode(vector["value"]), [parts[0], None]))
        for wrong in ([], parts[:1], [*parts, parts[0]], parts[::-1]):
            with self.subTest(len(wrong)), self.assertRaises(DidAlgoError):
                unpack_object(id, b64decode(vector["value"]), wrong)

    def test_a_stream_has_a_limit(self):
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = packer.compress(bytes(1_000_000)) + packer.flush()
        self.assertEqual(inflate(packed, 1_000_000), bytes(1_000_000))
        for wrong in (packed[:-1], packed + b"x"):
            with self.subTest(len(wrong)), self.assertRaises(DidAlgoError):
                inflate(wrong, 1_000_000)
        with self.assertRaisesRegex(DidAlgoError, "more than 999999 bytes"):
            inflate(packed, 999_999)


class Records(unittest.TestCase):
    """Records of status logs."""

    def test_sets_in_each_form_whole_and_toggled(self):
        head = b64decode(VECTORS["accumulators"][0]["bytes"])
        for vector in VECTORS["sets"]:
            for form, name in enumerate(_FORMS):
                with self.subTest(size=vector["size"], form=name):
                    payload = head + b64decode(vector[name])
                    _, bits = decode_record(form << 2, payload, vector["size"])
                    self.assertEqual(bits, bits_of(vector["revoked"]))
                    self.assertEqual(decode_record(form << 2 | 1, payload, vector["size"], bits)[1], 0)

    def test_accumulators(self):
        for vector in VECTORS["accumulators"]:
            with self.subTest(vector["form"]):
                flags = 2 << 2 | (2 if vector["form"] == "deflated" else 0)
                self.assertEqual(decode_record(flags, b64decode(vector["bytes"]), 4)[0], vector["text"])

    def test_sizes(self):
        for size in (2, 32_768):
            self.assertEqual(check_size(size), size)
        for wrong in (None, True, "4", 1, 0, -4, 32_769, 4.0):
            with self.subTest(wrong), self.assertRaises(DidAlgoError):
                check_size(wrong)


class Logs(unittest.IsolatedAsyncioTestCase):
    """States in time."""

    async def read(self, vector, at):
        """Return what a read gives, in the form of the vectors."""
        try:
            state = await state_at(await open_log(LogVector(vector)), vector["size"], at)
        except DidAlgoError as error:
            return {"error": error.code}
        return {"accumulator": state.accumulator, "revoked": state.revoked, "time": state.time, "round": state.round}

    async def test_reads(self):
        for vector in VECTORS["logs"]:
            for expected in vector["reads"]:
                with self.subTest(vector["what"], at=expected.get("at")):
                    got = await self.read(vector, expected.get("at"))
                    wanted = {name: value for name, value in expected.items() if name not in ("at", "next")}
                    if "revoked" in wanted:
                        wanted["revoked"] = bits_of(wanted["revoked"])
                    self.assertEqual(got, wanted)

    async def test_invalid_logs(self):
        for vector in VECTORS["corrupt"]:
            with self.subTest(vector["what"]):
                self.assertEqual(await self.read(vector, vector.get("at")), {"error": "object-invalid"})

    async def test_no_log(self):
        class Nothing:
            async def head(self):
                return None

            async def segment(self, number):
                return None

        self.assertIsNone(await open_log(Nothing()))


if __name__ == "__main__":
    unittest.main()
