"""A controller written against ACA-Py: every helper of acapy-controller that needs no revocation, mediation or JSON-LD, unmodified.

Usage: old_controller.py ISSUER HOLDER, the admin URLs of two agents. Only the Indy onboarding is replaced: the issuer makes a DID of the
agent's own default method and publishes it. A line of JSON tells each step that went well.
"""

import asyncio
import importlib.metadata
import json
import sys

import pydantic
from acapy_controller import Controller, models
from acapy_controller.protocols import (
    DIDResult,
    anoncreds_issue_credential_v2,
    anoncreds_present_proof_v2,
    connection,
    connection_invitation,
    didexchange,
    indy_anoncred_credential_artifacts,
    indy_issue_credential_v1,
    indy_issue_credential_v2,
    indy_present_proof_v1,
    indy_present_proof_v2,
    oob_invitation,
    params,
    trustping,
)

ATTRIBUTES = ["name", "degree", "age"]


def did(step: str, **told):
    print(json.dumps({"step": step, **told}), flush=True)


async def onboard(agent: Controller) -> str:
    """In the place of indy_anoncred_onboard: no genesis file, no /register, no did:sov."""
    public = (await agent.get("/wallet/did/public", response=DIDResult)).result
    if not public:
        public = (await agent.post("/wallet/did/create", json={}, response=DIDResult)).result
        await agent.post("/wallet/did/public", params=params(did=public.did))
    return public.did


async def issue_and_prove(step, issuer, holder, conns, cred_def_id, issue, prove, values):
    issuer_conn, holder_conn = conns
    issued, held = await issue(issuer, holder, issuer_conn.connection_id, holder_conn.connection_id, cred_def_id, values)
    restriction = [{"cred_def_id": cred_def_id}]
    _, proof = await prove(
        holder,
        issuer,
        holder_conn.connection_id,
        issuer_conn.connection_id,
        requested_attributes=[{"name": "name", "restrictions": restriction}, {"name": "degree", "restrictions": restriction}],
        requested_predicates=[{"name": "age", "p_type": ">=", "p_value": 18, "restrictions": restriction}],
    )
    shown = proof.serialize()
    did(step, verified=shown["verified"], issued=state(issued), held=state(held))


def state(record) -> str:
    return getattr(record, "cred_ex_record", record).state


# what a controller that types its answers reads, and the library's model of it
TYPED = {
    "/connections": models.ConnectionList,
    "/wallet/did": models.DIDList,
    "/wallet/did/public": models.DIDResult,
    "/issue-credential-2.0/records": models.V20CredExRecordListResult,
    "/present-proof-2.0/records": models.V20PresExRecordList,
    "/issue-credential/records": models.V10CredentialExchangeListResult,
    "/present-proof/records": models.V10PresentationExchangeList,
    "/credentials": models.CredInfoList,
    "/schemas/created": models.SchemasCreatedResult,
    "/credential-definitions/created": models.CredentialDefinitionsCreatedResult,
    "/status": models.AdminStatus,
    "/plugins": models.AdminModules,
}


async def read_typed(agent: Controller) -> dict:
    """What the models do not take, as lines such as `results.their_did string_pattern_mismatch`."""
    found = {}
    for path, model in TYPED.items():
        answer = await agent.get(path)
        try:
            model.deserialize(answer)
        except pydantic.ValidationError as error:
            found[path] = sorted(
                {" ".join([".".join(part for part in one["loc"] if isinstance(part, str)), one["type"]]) for one in error.errors()}
            )
    return found


async def main(issuer_url: str, holder_url: str):
    did("version", acapy_controller=importlib.metadata.version("acapy-controller"))
    async with Controller(issuer_url, label="issuer") as issuer, Controller(holder_url, label="holder") as holder:
        did("settings", issuer=issuer.label, holder=holder.label, wallet=issuer.wallet_type)

        conns = await connection(issuer, holder)
        did("connection", states=[one.rfc23_state for one in conns])
        many = await connection_invitation(issuer, multi_use=True)
        for _ in range(2):
            conns = await connection(issuer, holder, invitation=many)
        did("connection multi_use", states=[one.rfc23_state for one in conns])
        conns = await didexchange(issuer, holder)
        did("didexchange", states=[one.rfc23_state for one in conns])
        await trustping(issuer, conns[0], "still there?")
        did("trustping")

        issuer_id = await onboard(issuer)
        did("onboard", did=issuer_id)
        # the helpers choose the family by the wallet's type, as they do with ACA-Py
        indy = issuer.wallet_type == "askar"
        _, cred_def = await indy_anoncred_credential_artifacts(issuer, ATTRIBUTES, issuer_id=None if indy else issuer_id)
        did("artifacts", cred_def_id=cred_def.credential_definition_id)

        public = await oob_invitation(issuer, use_public_did=True)
        public_conns = await didexchange(issuer, holder, invite=public)
        did("didexchange public", states=[one.rfc23_state for one in public_conns])

        ways = (
            (("indy v2", indy_issue_credential_v2, indy_present_proof_v2), ("indy v1", indy_issue_credential_v1, indy_present_proof_v1))
            if indy
            else (("anoncreds v2", anoncreds_issue_credential_v2, anoncreds_present_proof_v2),)
        )
        for step, issue, prove in ways:
            values = {"name": f"Alice of {step}", "degree": "Maths", "age": "24"}
            await issue_and_prove(step, issuer, holder, conns, cred_def.credential_definition_id, issue, prove, values)
        held = (await holder.get("/credentials"))["results"]
        did("models", issuer=await read_typed(issuer), holder=await read_typed(holder))
        did("credentials", names=sorted(one["attrs"]["name"] for one in held))


asyncio.run(main(*sys.argv[1:]))
