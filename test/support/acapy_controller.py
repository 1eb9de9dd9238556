"""A controller as those that were written for ACA-Py and Indy: onboarding with a DID of method sov, an invitation of many uses, issuing and proving in both versions.

Usage: acapy_controller.py ISSUER HOLDER LISTEN, the admin URLs of two agents and HOST:PORT where their webhooks come. It looks at the version and at wallet.type,
chooses its calls by them, and follows webhooks alone. A line of JSON tells each step that went well. Nothing but the standard library.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 120
EVENTS = []
CHANGED = threading.Condition()


class Webhooks(BaseHTTPRequestHandler):
    """Takes /webhooks/AGENT/topic/TOPIC/."""

    def do_POST(self):
        parts = self.path.strip("/").split("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with CHANGED:
            EVENTS.append((parts[1], parts[3], body))
            CHANGED.notify_all()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


def event(agent, topic, **wanted):
    """The first webhook of the topic with these members."""
    until = time.monotonic() + PATIENCE
    with CHANGED:
        while True:
            for name, kind, body in EVENTS:
                if name == agent and kind == topic and all(body.get(key) == value for key, value in wanted.items()):
                    return body
            if not CHANGED.wait(until - time.monotonic()):
                told = [(kind, body.get("state")) for name, kind, body in EVENTS if name == agent]
                raise SystemExit(f"{agent} never told {topic} {wanted}; it told {told}")


class Agent:
    def __init__(self, name, url):
        self.name, self.url = name, url

    def call(self, method, path, body=None, **query):
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name}: {method} {path} answered {error.code} {error.read().decode()}")

    def get(self, path, **query):
        return self.call("GET", path, **query)

    def post(self, path, body=None, **query):
        return self.call("POST", path, body if body is not None else {}, **query)

    def event(self, topic, **wanted):
        return event(self.name, topic, **wanted)


def step(name, **told):
    print(json.dumps({"step": name, **told}), flush=True)


def ready(agent):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{agent.url}/status/ready", timeout=5) as answer:
                if json.loads(answer.read())["ready"]:
                    return
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


def detect(agent):
    """The family of calls, as scripts find it: by the version first, then by the type of the wallet."""
    major, minor = (int(part) for part in agent.get("/status")["version"].split(".")[:2])
    assert (major, minor) >= (1, 0), "an old ACA-Py"
    config = agent.get("/status/config")["config"]
    assert config["ledger.genesis_url"].startswith("http") and config["tails_server_base_url"].startswith("http")
    return config["wallet.type"]


def onboard(issuer):
    made = issuer.post("/wallet/did/create", {"method": "sov", "options": {"key_type": "ed25519"}})["result"]
    did, verkey = made["did"], made["verkey"]
    assert issuer.post("/ledger/register-nym", did=did, verkey=verkey, alias="Faber", role="ENDORSER")["success"]
    taa = issuer.get("/ledger/taa")["result"]
    if taa["taa_required"]:
        issuer.post("/ledger/taa/accept", {"mechanism": "on_file", **taa["taa_record"]})
    assert issuer.post("/wallet/did/public", did=did)["result"]["posture"] == "public"
    assert issuer.get("/wallet/did/public")["result"]["did"] == did
    endpoint = issuer.get("/wallet/get-did-endpoint", did=did)["endpoint"]
    issuer.post("/wallet/set-did-endpoint", {"did": did, "endpoint": endpoint, "endpoint_type": "Endpoint"})
    schema = issuer.post("/schemas", {"schema_name": "degree", "schema_version": "1.0", "attributes": ["name", "age"]})
    definition = issuer.post("/credential-definitions", {"schema_id": schema["schema_id"], "tag": "default", "support_revocation": False})
    return definition["credential_definition_id"]


def connected(issuer, holder):
    body = {"handshake_protocols": ["rfc23"], "alias": "everybody"}
    made = issuer.post("/out-of-band/create-invitation", body, multi_use="True", auto_accept="true")
    got = holder.post("/out-of-band/receive-invitation", made["invitation"], auto_accept="true")
    holder.event("connections", connection_id=got["connection_id"], rfc23_state="completed")
    ours = issuer.event("connections", invitation_msg_id=made["invi_msg_id"], rfc23_state="completed")
    # many controllers know by this alone that an invitation was used
    issuer.event("out_of_band", invi_msg_id=made["invi_msg_id"], state="done")
    return ours["connection_id"], got["connection_id"]


PREVIEW = [{"name": "name", "value": "Alice"}, {"name": "age", "value": "30"}]


def proof_request(cred_def_id):
    restrictions = [{"cred_def_id": cred_def_id}]
    return {
        "name": "Proof",
        "version": "1.0",
        "requested_attributes": {"name": {"name": "name", "restrictions": restrictions}},
        "requested_predicates": {"age": {"name": "age", "p_type": ">=", "p_value": 18, "restrictions": restrictions}},
    }


def chosen(holder, path):
    found = holder.get(path)
    referent = next(one["cred_info"]["referent"] for one in found if "name" in one["presentation_referents"])
    return {
        "requested_attributes": {"name": {"cred_id": referent, "revealed": True}},
        "requested_predicates": {"age": {"cred_id": referent}},
        "self_attested_attributes": {},
    }


def version_2(issuer, holder, conn_id, cred_def_id, family):
    preview = {"@type": "https://didcomm.org/issue-credential/2.0/credential-preview", "attributes": PREVIEW}
    offer = {"connection_id": conn_id, "auto_issue": True, "filter": {family: {"cred_def_id": cred_def_id}}, "credential_preview": preview}
    sent = issuer.post("/issue-credential-2.0/send-offer", offer)
    thread = sent["thread_id"]
    got = holder.event("issue_credential_v2_0", thread_id=thread, state="offer-received")
    holder.post(f"/issue-credential-2.0/records/{got['cred_ex_id']}/send-request")
    holder.event("issue_credential_v2_0", thread_id=thread, state="done")
    issuer.event("issue_credential_v2_0", thread_id=thread, state="done")
    issuer.event(f"issue_credential_v2_0_{family}", cred_ex_id=sent["cred_ex_id"])
    request = {"connection_id": conn_id, "auto_verify": True, "presentation_request": {family: proof_request(cred_def_id)}}
    asked = issuer.post("/present-proof-2.0/send-request", request)
    got = holder.event("present_proof_v2_0", thread_id=asked["thread_id"], state="request-received")
    path = f"/present-proof-2.0/records/{got['pres_ex_id']}"
    holder.post(f"{path}/send-presentation", {family: chosen(holder, f"{path}/credentials")})
    return issuer.event("present_proof_v2_0", thread_id=asked["thread_id"], state="done")["verified"]


def version_1(issuer, holder, cred_def_id):
    """Without a connection: the offer and the request are in invitations."""
    preview = {"@type": "issue-credential/1.0/credential-preview", "attributes": PREVIEW}
    sent = issuer.post("/issue-credential/create-offer", {"cred_def_id": cred_def_id, "auto_issue": True, "credential_preview": preview})
    body = {"attachments": [{"id": sent["credential_exchange_id"], "type": "credential-offer"}]}
    holder.post("/out-of-band/receive-invitation", issuer.post("/out-of-band/create-invitation", body)["invitation"])
    got = holder.event("issue_credential", thread_id=sent["thread_id"], state="offer_received")
    holder.post(f"/issue-credential/records/{got['credential_exchange_id']}/send-request")
    holder.event("issue_credential", thread_id=sent["thread_id"], state="credential_acked")
    issuer.event("issue_credential", thread_id=sent["thread_id"], state="credential_acked")
    asked = issuer.post("/present-proof/create-request", {"proof_request": proof_request(cred_def_id), "auto_verify": True})
    body = {"attachments": [{"id": asked["presentation_exchange_id"], "type": "present-proof"}]}
    holder.post("/out-of-band/receive-invitation", issuer.post("/out-of-band/create-invitation", body)["invitation"])
    got = holder.event("present_proof", thread_id=asked["thread_id"], state="request_received")
    path = f"/present-proof/records/{got['presentation_exchange_id']}"
    holder.post(f"{path}/send-presentation", chosen(holder, f"{path}/credentials"))
    return issuer.event("present_proof", thread_id=asked["thread_id"], state="verified")["verified"]


def main():
    issuer, holder = Agent("issuer", sys.argv[1]), Agent("holder", sys.argv[2])
    host, port = sys.argv[3].rsplit(":", 1)
    server = ThreadingHTTPServer((host, int(port)), Webhooks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for agent in (issuer, holder):
        ready(agent)
    wallet_type = detect(issuer)
    step("detected", wallet_type=wallet_type)
    cred_def_id = onboard(issuer)
    step("onboarded")
    conn_id, _ = connected(issuer, holder)
    step("connected")
    family = "indy" if wallet_type == "askar" else "anoncreds"
    step("version 2", verified=version_2(issuer, holder, conn_id, cred_def_id, family))
    step("version 1", verified=version_1(issuer, holder, cred_def_id))


main()
