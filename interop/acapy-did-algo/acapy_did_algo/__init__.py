"""ACA-Py plug-in: AnonCreds objects and revocation lists of did:algo issuers, read from Algorand."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acapy_agent.config.injection_context import InjectionContext

LOGGER = logging.getLogger(__name__)


async def setup(context: "InjectionContext") -> None:
    """Register the resolver with the configuration of this plug-in.

    Raises StartupError where the configuration cannot be used.
    """
    # the codec is of use without ACA-Py
    from acapy_agent.anoncreds.registry import AnonCredsRegistry
    from acapy_agent.core.error import StartupError

    from .algod import Algod, read_networks, read_timeout
    from .reader import DidAlgoReader
    from .resolver import DidAlgoResolver

    settings = context.settings.for_plugin(__name__)
    try:
        networks = read_networks(settings.get("networks") or {})
        timeout = read_timeout(settings.get("timeout"))
    except ValueError as error:
        raise StartupError(f"{__name__}: {error}") from error
    if not networks:
        LOGGER.warning("%s has no networks: it resolves nothing", __name__)
    registry = context.inject(AnonCredsRegistry)
    registry.register(DidAlgoResolver(DidAlgoReader(Algod(networks, timeout))))
    LOGGER.info("%s resolves did:algo of %s", __name__, ", ".join(networks) or "no network")
