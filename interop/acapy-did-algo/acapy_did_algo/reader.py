"""Objects and status lists by their identifiers."""

from collections import OrderedDict
from typing import Any

from .algod import Algod, Reader
from .errors import DidAlgoError
from .identifiers import ObjectId, parse_id
from .objects import parts_of, unpack_object
from .status_log import check_size, open_log, state_at

_MAX_OBJECTS = 500


class _Boxes:
    """The boxes of the log of a registry."""

    def __init__(self, reader: Reader, id: ObjectId):
        self._reader = reader
        self._id = id

    async def head(self) -> bytes | None:
        return await self._reader.box(self._id.application, self._id.head_box)

    async def segment(self, number: int) -> bytes | None:
        return await self._reader.box(self._id.application, self._id.segment_box(number))


class DidAlgoReader:
    """Reads AnonCreds objects of did:algo issuers. Objects never change, and are kept in memory; states are read each time."""

    def __init__(self, algod: Algod):
        """Take the nodes to read from."""
        self._algod = algod
        self._objects: OrderedDict[ObjectId, dict[str, Any]] = OrderedDict()

    async def _object(self, reader: Reader, id: ObjectId) -> dict[str, Any]:
        known = self._objects.get(id)
        if known is not None:
            self._objects.move_to_end(id)
            return known
        box = await reader.box(id.application, id.object_box)
        parts = [await reader.box(id.application, id.box_of(oid)) for oid in parts_of(box or b"")]
        found = unpack_object(id, box, parts)
        if found is None:
            raise DidAlgoError("object-not-found", "there is no such object")
        self._objects[id] = found
        if len(self._objects) > _MAX_OBJECTS:
            self._objects.popitem(last=False)
        return found

    async def read_object(self, text: str, type: str) -> dict[str, Any]:
        """Return an object in its AnonCreds form: a `SCHEMA`, `CLAIM_DEF` or `REV_REG_DEF`.

        Raises DidAlgoError.
        """
        id = parse_id(text)
        if id.type != type:
            raise DidAlgoError("identifier-invalid", f"{text} is not the identifier of a {type}")
        async with self._algod.reader(id.network) as reader:
            return await self._object(reader, id)

    async def read_status_list(self, text: str, time: int | None = None) -> dict[str, Any]:
        """Return the AnonCreds status list of a registry that was in force at `time`, or the last one.

        Its `timestamp` is the time of its record. Raises DidAlgoError.
        """
        id = parse_id(text)
        if id.type != "REV_REG_DEF":
            raise DidAlgoError("identifier-invalid", f"{text} is not the identifier of a REV_REG_DEF")
        async with self._algod.reader(id.network) as reader:
            value = (await self._object(reader, id)).get("value")
            size = check_size(value.get("maxCredNum") if isinstance(value, dict) else None)
            log = await open_log(_Boxes(reader, id))
            if log is None:
                raise DidAlgoError("object-not-found", "the registry has no status log")
            state = await state_at(log, size, time)
        return {
            "issuerId": id.did,
            "revRegDefId": text,
            "revocationList": state.revocation_list(size),
            "currentAccumulator": state.accumulator,
            "timestamp": state.time,
        }
