#!/usr/bin/env python3
"""A controller in plain Python (3.9 or newer, standard library only): connects two parties, issues a credential, has it presented and verified.

It knows of the agents what any controller knows: the address and key of their admin API, and the webhooks that they send. Start three agents (the verifier may
also be the issuer's agent) with `--webhook-url http://HOST:PORT/NAME`, NAME being issuer, holder or verifier, and the holder's also with
`--auto-respond-credential-offer --auto-store-credential`. The issuer's agent needs a ledger and an account that pays. Then:

    ISSUER_KEY=... HOLDER_KEY=... VERIFIER_KEY=... controller.py \\
        --issuer http://127.0.0.1:8021 --holder http://127.0.0.1:8031 --verifier http://127.0.0.1:8041 --listen 127.0.0.1:8050

Prints a line per step, ends with `verified: true` and exit code 0; anything else is exit code 1.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

PATIENCE = 60.0
# how old a webhook may be: what was listened to earlier is not taken again
WINDOW = 300.0
ATTRIBUTES = {"name": "Alice Garcia", "degree": "Physics", "year": "2024"}


class Failed(Exception):
    """The flow cannot go on; the text says at what."""


class Webhooks:
    """Takes the webhooks of all agents, and lets the flow wait for one. An event is kept once, however often it is delivered."""

    def __init__(self, host, port):
        self.secrets = {}
        self.events = {}
        self.changed = threading.Condition()
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                status = hooks.take(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        self.server = http.server.ThreadingHTTPServer((host, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        """Checks the signature, which covers its time, the event's id, the topic, the wallet and the body. The path is /NAME/topic/TOPIC/."""
        name, _, topic = path.strip("/").split("/")[:3]
        event_id = headers.get("x-event-id", "")
        signed = dict(part.partition("=")[::2] for part in headers.get("x-flexid-signature", "").split(","))
        # one that comes before its secret is known is sent again
        secret, time_of = self.secrets.get(name), signed.get("t", "")
        if secret is None or not time_of.isdigit() or abs(time.time() - int(time_of)) > WINDOW:
            return 401
        text = ".".join((time_of, event_id, topic, headers.get("x-wallet-id", ""))).encode() + b"." + body
        expected = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signed.get("v1", ""), expected):
            return 401
        with self.changed:
            self.events.setdefault(event_id, (name, topic, json.loads(body)))
            self.changed.notify_all()
        return 200

    def wait(self, agent, topic, what, **members):
        """The payload of the first event of the agent's topic that has these members. An exchange that ends badly ends the wait."""
        wanted = {**members}
        state = wanted.pop("state")
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                for name, of, payload in list(self.events.values()):
                    if name != agent.name or of != topic or any(payload.get(key) != value for key, value in wanted.items()):
                        continue
                    if payload.get("state") == state:
                        return payload
                    if payload.get("state") in ("abandoned", "error"):
                        raise Failed(f"{what}: {payload.get('error_msg', 'abandoned')}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failed(f"{what}: {agent.name} told nothing in {PATIENCE:.0f} s")
                self.changed.wait(left)


class Agent:
    """The admin API of one agent."""

    def __init__(self, name, url, key):
        self.name, self.url, self.key = name, url.rstrip("/"), key

    def get(self, path, **query):
        return self._call("GET", path, query, None)

    def post(self, path, body=None, **query):
        return self._call("POST", path, query, body or {})

    def _call(self, method, path, query, body):
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        # said again under the same key, a call has no second effect: so it can be said again when nothing came back
        headers = {"x-api-key": self.key, "content-type": "application/json", "idempotency-key": str(uuid.uuid4())}
        data = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                request = urllib.request.Request(url, data=data, headers=headers, method=method)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code not in (503, 504) or time.monotonic() > deadline:
                    raise Failed(f"{method} {path} of {self.name} answered {text}") from None
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Failed(f"{self.name} does not answer at {self.url}: {error}") from None
            time.sleep(0.2)


def step(text):
    print(text, flush=True)


def finished(agent, path, body, member):
    """Registers an object. The answer is `wait` while the ledger takes its time; the same call again tells how far it is."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = agent.post(path, body)
        state = answer[member]
        if state["state"] == "finished":
            return state
        if state["state"] == "failed" or time.monotonic() > deadline:
            raise Failed(f"{path}: {answer['registration_metadata'].get('reason', state['state'])}")
        time.sleep(0.2)


def register(issuer):
    """A public DID with a schema and a credential definition. @returns the credential definition's id"""
    did = issuer.post("/wallet/did/create", {"method": "algo"})["result"]["did"]
    issuer.post("/wallet/did/public", did=did)
    deadline = time.monotonic() + PATIENCE
    while (issuer.get("/wallet/did/public")["result"] or {}).get("did") != did:
        if time.monotonic() > deadline:
            raise Failed("the DID did not become public")
        time.sleep(0.2)
    step(f"DID                    {did}")
    schema = {"issuerId": did, "name": "diploma", "version": "1.0", "attrNames": list(ATTRIBUTES)}
    schema_id = finished(issuer, "/anoncreds/schema", {"schema": schema}, "schema_state")["schema_id"]
    step(f"schema                 {schema_id}")
    definition = {"issuerId": did, "schemaId": schema_id, "tag": "default"}
    made = finished(issuer, "/anoncreds/credential-definition", {"credential_definition": definition}, "credential_definition_state")
    step(f"credential definition  {made['credential_definition_id']}")
    return made["credential_definition_id"]


def connect(hooks, inviter, invitee):
    """Connects by an out-of-band invitation. @returns the inviter's connection id"""
    handshake = {"handshake_protocols": ["https://didcomm.org/didexchange/1.1"]}
    made = inviter.post("/out-of-band/create-invitation", handshake, auto_accept="true")
    got = invitee.post("/out-of-band/receive-invitation", made["invitation"], auto_accept="true")
    hooks.wait(invitee, "connections", "connecting", state="active", connection_id=got["connection_id"])
    ours = hooks.wait(inviter, "connections", "connecting", state="active", invitation_msg_id=made["invi_msg_id"])
    step(f"connected              {inviter.name} and {invitee.name}")
    return ours["connection_id"]


def issue(hooks, issuer, holder, connection_id, cred_def_id):
    """Issues a credential; the holder's agent requests and stores it by itself."""
    offer = issuer.post(
        "/issue-credential-2.0/send",
        {
            "connection_id": connection_id,
            "filter": {"anoncreds": {"cred_def_id": cred_def_id}},
            "credential_preview": {"attributes": [{"name": name, "value": value} for name, value in ATTRIBUTES.items()]},
        },
    )
    hooks.wait(holder, "issue_credential_v2_0", "issuing", state="done", thread_id=offer["thread_id"])
    hooks.wait(issuer, "issue_credential_v2_0", "issuing", state="done", cred_ex_id=offer["cred_ex_id"])
    step("issued                 and stored by the holder")


def verify(hooks, verifier, holder, connection_id, cred_def_id):
    """Asks for the name and for proof of the year; the holder's side chooses the credential. @returns whether all of it holds"""
    restrictions = [{"cred_def_id": cred_def_id}]
    request = verifier.post(
        "/present-proof-2.0/send-request",
        {
            "connection_id": connection_id,
            "auto_verify": True,
            "auto_remove": False,
            "presentation_request": {
                "anoncreds": {
                    "name": "diploma",
                    "version": "1.0",
                    "requested_attributes": {"who": {"name": "name", "restrictions": restrictions}},
                    "requested_predicates": {"since": {"name": "year", "p_type": ">=", "p_value": 2020, "restrictions": restrictions}},
                }
            },
        },
    )
    asked = hooks.wait(holder, "present_proof_v2_0", "presenting", state="request-received", thread_id=request["thread_id"])
    record = f"/present-proof-2.0/records/{asked['pres_ex_id']}"
    found = holder.get(f"{record}/credentials", referent="who")
    if not found:
        raise Failed("presenting: the holder has no credential that fits")
    cred_id = found[0]["cred_info"]["referent"]
    holder.post(
        f"{record}/send-presentation",
        {
            "anoncreds": {
                "requested_attributes": {"who": {"cred_id": cred_id, "revealed": True}},
                "requested_predicates": {"since": {"cred_id": cred_id}},
                "self_attested_attributes": {},
            }
        },
    )
    done = hooks.wait(verifier, "present_proof_v2_0", "verifying", state="done", pres_ex_id=request["pres_ex_id"])
    proof = verifier.get(f"/present-proof-2.0/records/{request['pres_ex_id']}")["by_format"]["pres"]["anoncreds"]["requested_proof"]
    shown = proof["revealed_attrs"]["who"]["raw"]
    step(f"presented              name {shown}, year >= 2020")
    return done["verified"] == "true" and shown == ATTRIBUTES["name"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for role in ("issuer", "holder", "verifier"):
        name = role.upper()
        parser.add_argument(f"--{role}", metavar="URL", default=os.environ.get(f"{name}_URL"), help=f"admin API [{name}_URL]; its key: [{name}_KEY]")
    parser.add_argument("--listen", metavar="HOST:PORT", default=os.environ.get("LISTEN", "127.0.0.1:8050"), help="where webhooks come in [LISTEN]")
    args = parser.parse_args()
    if not args.issuer or not args.holder:
        parser.error("--issuer and --holder are needed")

    host, _, port = args.listen.rpartition(":")
    hooks = Webhooks(host, int(port))
    issuer = Agent("issuer", args.issuer, os.environ.get("ISSUER_KEY", ""))
    holder = Agent("holder", args.holder, os.environ.get("HOLDER_KEY", ""))
    verifier = Agent("verifier", args.verifier, os.environ.get("VERIFIER_KEY", "")) if args.verifier else issuer
    try:
        for agent in (issuer, holder, verifier):
            hooks.secrets[agent.name] = agent.post("/webhooks/secret")["secret"]
        cred_def_id = register(issuer)
        to_issuer = connect(hooks, issuer, holder)
        to_verifier = to_issuer if verifier is issuer else connect(hooks, verifier, holder)
        issue(hooks, issuer, holder, to_issuer, cred_def_id)
        verified = verify(hooks, verifier, holder, to_verifier, cred_def_id)
    except Failed as error:
        print(f"controller: {error}", file=sys.stderr)
        return 1
    print(f"verified: {str(verified).lower()}")
    return 0 if verified else 1


if __name__ == "__main__":
    sys.exit(main())
