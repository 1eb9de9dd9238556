"""Objects in boxes: raw DEFLATE of canonical JSON, checked against the identifier. The format is docs/StatusLog.md of the FlexID Cloud Agent."""

import json
import zlib
from hashlib import sha256
from typing import Any, Sequence

import rfc8785

from .errors import invalid
from .identifiers import ObjectId

_TYPES = {"SCHEMA": 1, "CLAIM_DEF": 2, "REV_REG_DEF": 3}
_STRIPPED, _PLAIN, _CONTINUED, _PART, _OPEN = 1, 2, 4, 8, 0x80
_HEAD = 18
_NAME = 24
_MAX_PARTS = 7
_MAX_OBJECT = 262_144


def inflate(data: bytes, limit: int) -> bytes:
    """Inflate a raw DEFLATE stream that ends where `data` ends and has at most `limit` bytes.

    Raises DidAlgoError `object-invalid`.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        out = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise invalid("a stream cannot be inflated") from error
    if len(out) > limit:
        raise invalid(f"a stream has more than {limit} bytes")
    if not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise invalid("a stream does not end where its bytes end")
    return out


def parts_of(box: bytes) -> list[bytes]:
    """Names (`oid`) of the boxes in which the payload of this one continues; none of an object that is absent.

    Raises DidAlgoError `object-invalid`.
    """
    if not box or box[0] & _OPEN or not box[0] & _CONTINUED:
        return []
    count = box[_HEAD] if len(box) > _HEAD else 0
    names = box[_HEAD + 1 : _HEAD + 1 + count * _NAME]
    if not 1 <= count <= _MAX_PARTS or len(names) != count * _NAME:
        raise invalid("the object has a list of parts of an unknown form")
    return [names[at : at + _NAME] for at in range(0, len(names), _NAME)]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(inflate(payload, _MAX_OBJECT).decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid("the object is not JSON") from error
    if not isinstance(parsed, dict):
        raise invalid("the object is not a JSON object")
    return parsed


def _is_absent(box: bytes | None) -> bool:
    return not box or bool(box[0] & _OPEN)


def unpack_object(id: ObjectId, box: bytes | None, parts: Sequence[bytes | None] = ()) -> dict[str, Any] | None:
    """Return the object of a box and of its parts, or None where it is absent. Type, issuer and hash are checked.

    Raises DidAlgoError `object-invalid`.
    """
    if box is None or _is_absent(box) or any(_is_absent(part) for part in parts):
        return None
    if len(box) < _HEAD or any(part is None or len(part) < _HEAD for part in parts):
        raise invalid("the object is too short")
    continued = box[0] & _CONTINUED
    codec = box[0] & ~_CONTINUED
    if codec not in (_STRIPPED, _PLAIN):
        raise invalid(f"the object has an unknown form ({box[0]})")
    if box[1] != _TYPES[id.type]:
        raise invalid(f"the object is not a {id.type}")
    if len(parts) != len(parts_of(box)) or any(part[0] != _PART or part[1] != box[1] for part in parts if part is not None):
        raise invalid("the object has parts of an unknown form")
    first = _HEAD + (1 + len(parts) * _NAME if continued else 0)
    found = _parse(b"".join([box[first:], *(part[_HEAD:] for part in parts if part is not None)]))
    if codec == _STRIPPED:
        found = {name: id.did + value if isinstance(value, str) and value.startswith("/") else value for name, value in found.items()}
        found = {"issuerId": id.did, **found}
    try:
        digest = sha256(rfc8785.dumps(found)).digest()
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise invalid("the object has no canonical form") from error
    if digest[:_NAME] != id.oid:
        raise invalid("the object does not hash to its identifier")
    if found.get("issuerId") != id.did:
        raise invalid("the object names another issuer")
    return found
