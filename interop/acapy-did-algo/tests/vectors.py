"""The vectors of docs/StatusLog.md, in the repository of the FlexID Cloud Agent."""

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

_DEFAULT = Path(__file__).parents[3] / "docs" / "vectors" / "status-log.json"

VECTORS: dict[str, Any] = json.loads(Path(os.environ.get("STATUS_LOG_VECTORS", _DEFAULT)).read_text())


def bits_of(revoked: str) -> int:
    """Return the bitmap of a vector as an integer."""
    return int.from_bytes(b64decode(revoked + "=" * (-len(revoked) % 4), altchars=b"-_"), "little")


def boxes_of_object(vector: dict[str, Any]) -> dict[bytes, bytes]:
    """Return the boxes of an object, by their names."""
    return {b64decode(box["box"]): b64decode(box["value"]) for box in [vector, *vector.get("parts", [])]}
