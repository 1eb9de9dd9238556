"""Identifiers of AnonCreds objects on Algorand, and the names of their boxes."""

import re
from base64 import urlsafe_b64decode
from typing import NamedTuple

from .errors import DidAlgoError

_ID = re.compile(
    r"did:algo(?::(mainnet|testnet|betanet|custom))?:app:([1-9][0-9]{0,19}):([0-9a-fA-F]{64})"
    r"/anoncreds/v1/(SCHEMA|CLAIM_DEF|REV_REG_DEF)/([A-Za-z0-9_-]{32})"
)
_MAX_APPLICATION = 2**64 - 1


class ObjectId(NamedTuple):
    """An identifier taken apart. `did` is the issuer's DID in its normal form."""

    did: str
    network: str
    application: int
    key: bytes
    type: str
    oid: bytes

    @property
    def object_box(self) -> bytes:
        """Name of the box of the object."""
        return self.box_of(self.oid)

    def box_of(self, oid: bytes) -> bytes:
        """Name of the box of another object of the same key."""
        return b"r" + self.key + oid

    @property
    def head_box(self) -> bytes:
        """Name of the box with the head of the status log."""
        return b"l" + self.key + self.oid

    def segment_box(self, number: int) -> bytes:
        """Name of the box of a segment of the status log."""
        return b"g" + self.key + self.oid + number.to_bytes(4)


def parse_id(text: str) -> ObjectId:
    """Take an identifier apart; without a network it means mainnet.

    Raises DidAlgoError `identifier-invalid`.
    """
    match = _ID.fullmatch(text)
    if match is None or int(match[2]) > _MAX_APPLICATION:
        raise DidAlgoError("identifier-invalid", f"not the identifier of a did:algo object: {text[:300]}")
    network, application, key, kind, oid = match.groups()
    network = network or "mainnet"
    did = f"did:algo:{network}:app:{application}:{key.lower()}"
    return ObjectId(did, network, int(application), bytes.fromhex(key), kind, urlsafe_b64decode(oid))
