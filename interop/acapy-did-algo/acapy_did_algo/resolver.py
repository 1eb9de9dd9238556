"""The AnonCreds resolver of did:algo identifiers."""

import re
from typing import Any, Awaitable, Pattern, TypeVar

from acapy_agent.anoncreds.base import AnonCredsObjectNotFound, AnonCredsResolutionError, BaseAnonCredsResolver
from acapy_agent.anoncreds.models.credential_definition import CredDef, GetCredDefResult
from acapy_agent.anoncreds.models.revocation import GetRevListResult, GetRevRegDefResult, RevList, RevRegDef
from acapy_agent.anoncreds.models.schema import AnonCredsSchema, GetSchemaResult
from acapy_agent.anoncreds.models.schema_info import AnonCredsSchemaInfo
from acapy_agent.config.injection_context import InjectionContext
from acapy_agent.core.profile import Profile
from acapy_agent.messaging.models.base import BaseModel, BaseModelError

from .errors import DidAlgoError
from .reader import DidAlgoReader

_SUPPORTED = re.compile(r"^did:algo:")
_ABSENT = ("object-not-found", "status-none", "status-pruned")
_T = TypeVar("_T")
_M = TypeVar("_M", bound=BaseModel)


async def _resolved(id: str, read: Awaitable[_T]) -> _T:
    try:
        return await read
    except DidAlgoError as error:
        raised = AnonCredsObjectNotFound if error.code in _ABSENT else AnonCredsResolutionError
        raise raised(f"{id}: {error} ({error.code})") from error


def _model(model: type[_M], id: str, value: dict[str, Any]) -> _M:
    try:
        return model.deserialize(value)
    except BaseModelError as error:
        raise AnonCredsResolutionError(f"{id}: not a {model.__name__}: {error}") from error


class DidAlgoResolver(BaseAnonCredsResolver):
    """Resolves AnonCreds objects and revocation lists of did:algo issuers."""

    def __init__(self, reader: DidAlgoReader):
        """Take what reads the ledger."""
        self._reader = reader

    @property
    def supported_identifiers_regex(self) -> Pattern:
        """Regex of identifiers that this resolver is asked for."""
        return _SUPPORTED

    async def setup(self, context: InjectionContext) -> None:
        """Nothing is left to do."""

    async def get_schema(self, profile: Profile, schema_id: str) -> GetSchemaResult:
        """Get a schema."""
        value = await _resolved(schema_id, self._reader.read_object(schema_id, "SCHEMA"))
        return GetSchemaResult(_model(AnonCredsSchema, schema_id, value), schema_id, {}, {})

    async def get_credential_definition(self, profile: Profile, credential_definition_id: str) -> GetCredDefResult:
        """Get a credential definition."""
        id = credential_definition_id
        value = await _resolved(id, self._reader.read_object(id, "CLAIM_DEF"))
        return GetCredDefResult(id, _model(CredDef, id, value), {}, {})

    async def get_revocation_registry_definition(self, profile: Profile, revocation_registry_id: str) -> GetRevRegDefResult:
        """Get the definition of a revocation registry."""
        id = revocation_registry_id
        value = await _resolved(id, self._reader.read_object(id, "REV_REG_DEF"))
        return GetRevRegDefResult(_model(RevRegDef, id, value), id, {}, {})

    async def get_revocation_list(
        self,
        profile: Profile,
        revocation_registry_id: str,
        timestamp_from: int | None = 0,
        timestamp_to: int | None = None,
    ) -> GetRevListResult:
        """Get the revocation list in force at `timestamp_to`, or the last one.

        Its timestamp is the time of its record on the ledger, which may lie before `timestamp_from`.
        """
        id = revocation_registry_id
        value = await _resolved(id, self._reader.read_status_list(id, timestamp_to))
        return GetRevListResult(_model(RevList, id, value), {}, {})

    async def get_schema_info_by_id(self, profile: Profile, schema_id: str) -> AnonCredsSchemaInfo:
        """Get issuer, name and version of a schema."""
        schema = (await self.get_schema(profile, schema_id)).schema
        return AnonCredsSchemaInfo(schema.issuer_id, schema.name, schema.version)
