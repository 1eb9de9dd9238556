"""Errors of this package."""

from typing import Literal

Code = Literal[
    "identifier-invalid",
    "network-unknown",
    "ledger-unavailable",
    "object-not-found",
    "object-invalid",
    "status-none",
    "status-pruned",
]


class DidAlgoError(Exception):
    """What could not be read, by a code of docs/StatusLog.md or of this package."""

    def __init__(self, code: Code, message: str):
        """Keep the code; the text is the message."""
        super().__init__(message)
        self.code = code


def invalid(reason: str) -> DidAlgoError:
    """Return the error of a box that breaks a rule of the format."""
    return DidAlgoError("object-invalid", reason)
