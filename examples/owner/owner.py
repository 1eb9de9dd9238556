#!/usr/bin/env python3
"""An owner: it drives its FlexID cloud agent by encrypted messages, over the port that peers use too.

It has one secret and one public key, both in owner.toml beside it, and no wallet: the agent holds the keys that issue. It needs Python 3.11
and PyNaCl. Nothing can reach it: it asks, and fetches what the agent says (message pickup 2.0, RFC 0685).

  owner.py accept < FILE                             takes the agent's key and address from what the agent, or its operator, printed
  owner.py invite [--multi]                          an invitation for a wallet
  owner.py connections                               who is connected
  owner.py schema NAME VERSION ATTRIBUTE...          -> schema_id
  owner.py cred-def SCHEMA_ID [--revocable]          -> cred_def_id
  owner.py issue CONNECTION CRED_DEF_ID NAME=VALUE...
  owner.py request-proof CONNECTION CRED_DEF_ID ATTRIBUTE...
  owner.py revoke CRED_EX_ID                         on the ledger, and its holder is told
  owner.py events [--follow]                         what happened, a line of JSON each
  owner.py decide DECISION_ID continue|reject|hold|replace [JSON]
  owner.py ask TYPE [JSON]                           any other message; its answer is printed

Each verb prints one line of JSON. --id ID before a verb names the message: the same verb under the same id has one effect, however often it runs.
"""
import json
import os
import sys
import time
import tomllib
import urllib.request
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from nacl import bindings as nacl
from nacl.exceptions import CryptoError
from nacl.utils import random

TOOLBOX = "https://github.com/hyperledger/aries-toolbox/tree/master/docs/"
OWN = "https://flexid.dev/didcomm/"
PICKUP = "https://didcomm.org/messagepickup/2.0/"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BATCH = 100
WAIT_S = 300


def b58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unb58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + BASE58.index(letter)
    return number.to_bytes(32, "big")


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Problem(Exception):
    """The agent refused, or did not answer."""


class Owner:
    def __init__(self, folder: Path):
        self.file, self.spool = folder / "owner.toml", folder / "inbox.jsonl"
        self.config = tomllib.loads(self.file.read_text())
        self.verkey, self.secret = nacl.crypto_sign_seed_keypair(bytes.fromhex(self.config["seed"]))

    # -- RFC 0019: authcrypt ------------------------------------------------------------------------------------------------------------

    def pack(self, message: dict) -> bytes:
        theirs = unb58(self.config["agent_verkey"])
        their_key = nacl.crypto_sign_ed25519_pk_to_curve25519(theirs)
        my_key = nacl.crypto_sign_ed25519_sk_to_curve25519(self.secret)
        key, key_nonce, nonce = random(32), random(24), random(12)
        recipient = {
            "encrypted_key": b64(nacl.crypto_box(key, key_nonce, their_key, my_key)),
            "header": {"kid": b58(theirs), "sender": b64(nacl.crypto_box_seal(b58(self.verkey).encode(), their_key)), "iv": b64(key_nonce)},
        }
        header = {"enc": "xchacha20poly1305_ietf", "typ": "JWM/1.0", "alg": "Authcrypt", "recipients": [recipient]}
        protected = b64(json.dumps(header).encode())
        sealed = nacl.crypto_aead_chacha20poly1305_ietf_encrypt(json.dumps(message).encode(), protected.encode(), nonce, key)
        return json.dumps({"protected": protected, "iv": b64(nonce), "ciphertext": b64(sealed[:-16]), "tag": b64(sealed[-16:])}).encode()

    def unpack(self, envelope: dict) -> dict:
        """The message of an envelope that the agent sealed for this owner. Raises Problem for any other."""
        header = json.loads(unb64(envelope["protected"]))
        my_key = nacl.crypto_sign_ed25519_sk_to_curve25519(self.secret)
        for recipient in header["recipients"]:
            given = recipient["header"]
            if given["kid"] != b58(self.verkey):
                continue
            sender = nacl.crypto_box_seal_open(unb64(given["sender"]), nacl.crypto_sign_ed25519_pk_to_curve25519(self.verkey), my_key).decode()
            if sender != self.config["agent_verkey"]:
                raise Problem("a message is not from the agent")
            their_key = nacl.crypto_sign_ed25519_pk_to_curve25519(unb58(sender))
            key = nacl.crypto_box_open(unb64(recipient["encrypted_key"]), unb64(given["iv"]), their_key, my_key)
            sealed = unb64(envelope["ciphertext"]) + unb64(envelope["tag"])
            return json.loads(nacl.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, envelope["protected"].encode(), unb64(envelope["iv"]), key))
        raise Problem("a message is not for this owner")

    # -- transport ----------------------------------------------------------------------------------------------------------------------

    def post(self, kind: str, body: dict, message_id: str | None = None, returned: bool = False) -> dict | None:
        """Sends a message. `returned`: its answer comes on the same connection, and is what this returns."""
        message = {"@type": kind, "@id": message_id or str(uuid.uuid4()), **body}
        if returned:
            message["~transport"] = {"return_route": "all"}
        headers = {"content-type": "application/didcomm-envelope-enc"}
        request = urllib.request.Request(self.config["agent_endpoint"], self.pack(message), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return self.unpack(json.loads(text)) if returned and text.strip() else None

    def fetch(self) -> list[tuple[str, dict]]:
        """What the agent keeps for this owner, with the ids under which it is acknowledged: until then it stays there."""
        answer = self.post(PICKUP + "delivery-request", {"limit": BATCH}, returned=True) or {}
        mail = []
        for one in answer.get("~attach", []):
            data = one["data"]
            try:
                mail.append((one["@id"], self.unpack(data.get("json") or json.loads(unb64(data["base64"])))))
            except (Problem, CryptoError, KeyError, ValueError) as fault:
                mail.append((one["@id"], {"@type": "unreadable", "reason": str(fault)}))
        return mail

    def acknowledge(self, ids: list[str]) -> None:
        if ids:
            self.post(PICKUP + "messages-received", {"message_id_list": ids}, returned=True)

    def keep(self, messages: list[dict]) -> None:
        """Keeps what is not asked for now, for `events`, before the agent lets it go."""
        with self.spool.open("a") as spool:
            spool.writelines(json.dumps(one) + "\n" for one in messages)
            spool.flush()
            os.fsync(spool.fileno())

    def kept(self, message_id: str) -> dict | None:
        """An answer that another process of this owner has fetched."""
        lines = self.spool.read_text().splitlines() if self.spool.exists() else []
        return next((one for one in map(json.loads, lines) if one.get("~thread", {}).get("thid") == message_id), None)

    # -- what an owner does -------------------------------------------------------------------------------------------------------------

    def ask(self, kind: str, body: dict, message_id: str | None = None, done=lambda reply: None) -> dict:
        """Sends a message and waits for its answer, which is let go when `done` has returned. Raises Problem where the agent refuses."""
        message_id = message_id or str(uuid.uuid4())
        self.post(kind, body, message_id)
        deadline, pause = time.monotonic() + WAIT_S, 0.05
        while time.monotonic() < deadline:
            mail = self.fetch()
            others = [(one, message) for one, message in mail if message.get("~thread", {}).get("thid") != message_id]
            if others:
                self.keep([message for _, message in others])
                self.acknowledge([one for one, _ in others])
            if not mail and (kept := self.kept(message_id)):
                mail = [("", kept)]
            for one, reply in mail:
                if reply.get("~thread", {}).get("thid") != message_id:
                    continue
                if not reply["@type"].endswith("/problem-report"):
                    done(reply)
                self.acknowledge([one] if one else [])
                if reply["@type"].endswith("/problem-report"):
                    description = reply.get("description", {})
                    raise Problem(f"{description.get('code')}: {description.get('en')}")
                return reply
            if not mail:
                time.sleep(pause)
                pause = min(pause * 1.5, 2)
        raise Problem(f"no answer to {message_id}: the agent goes on with it, and `events` has the answer when it is there")

    def events(self, follow: bool = False):
        """Yields what the agent said, each as often as the caller needs to get past it: it is acknowledged after that."""
        if self.spool.exists():
            lines = self.spool.read_text().splitlines()
            while lines:
                yield json.loads(lines.pop(0))
                rest = self.spool.with_suffix(".part")
                rest.write_text("".join(line + "\n" for line in lines))
                rest.replace(self.spool)
            self.spool.unlink()
        while True:
            mail = self.fetch()
            for one, message in mail:
                yield message
                self.acknowledge([one])
            if not mail and not follow:
                return
            if not mail:
                time.sleep(0.5)

    def accept(self, lines) -> dict:
        for line in lines:
            try:
                given = json.loads(line)
            except ValueError:
                continue
            if isinstance(given, dict) and given.get("their_verkey") == b58(self.verkey) and given.get("my_verkey"):
                self.config |= {"agent_verkey": given["my_verkey"], "agent_endpoint": given["my_endpoint"]}
                part = self.file.with_suffix(".part")
                part.touch(mode=0o600)
                part.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in self.config.items()))
                part.replace(self.file)
                return {name: self.config[name] for name in ("agent_verkey", "agent_endpoint")}
        raise Problem(f"no line has my_verkey for the owner {b58(self.verkey)}")


def proof_request(cred_def_id: str, names: list[str]) -> dict:
    asked = {name: {"name": name, "restrictions": [{"cred_def_id": cred_def_id}]} for name in names}
    return {"name": "proof", "version": "1.0", "requested_attributes": asked, "requested_predicates": {}}


def order(verb: str, words: list[str]) -> tuple[str, dict]:
    """The message of a verb, by its type and its members."""
    match verb, words:
        case "invite", _:
            return TOOLBOX + "admin-invitations/0.1/create", {"auto_accept": True, "multi_use": "--multi" in words}
        case "connections", []:
            return TOOLBOX + "admin-connections/0.1/get-list", {}
        case "schema", [name, version, *attributes] if attributes:
            return TOOLBOX + "admin-schemas/0.1/send-schema", {"schema_name": name, "schema_version": version, "attributes": attributes}
        case "cred-def", [schema_id, *rest]:
            body = {"schema_id": schema_id} | ({"support_revocation": True} if "--revocable" in rest else {})
            return TOOLBOX + "admin-credential-definitions/0.1/send-credential-definition", body
        case "issue", [connection, cred_def_id, *values] if values:
            attributes = [dict(zip(("name", "value"), pair.split("=", 1), strict=True)) for pair in values]
            body = {"connection_id": connection, "cred_def_id": cred_def_id, "credential_proposal": {"attributes": attributes}}
            return TOOLBOX + "admin-issuer/0.1/send-credential", body
        case "request-proof", [connection, cred_def_id, *names] if names:
            return TOOLBOX + "admin-issuer/0.1/request-presentation", {"connection_id": connection, "proof_request": proof_request(cred_def_id, names)}
        case "revoke", [cred_ex_id]:
            return OWN + "admin-revocation/1.0/revoke", {"cred_ex_id": cred_ex_id, "publish": True, "notify": True}
        case "decide", [decision_id, action, *values]:
            body = {"decision_id": decision_id, "action": action} | ({"values": json.loads(values[0])} if values else {})
            return OWN + "agent-config/1.0/decision", body
        case "ask", [kind, *body]:
            return kind, json.loads(body[0]) if body else {}
    raise Problem(f"owner.py --help has the verbs, and not {' '.join([verb, *words])}")


def show(message: dict) -> None:
    print(json.dumps(message), flush=True)


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    message_id = None
    try:
        if argv[0] == "--id":
            message_id, argv = argv[1], argv[2:]
        owner = Owner(Path(os.environ.get("OWNER_DIR") or Path(__file__).resolve().parent))
        if argv[0] == "accept":
            show(owner.accept(sys.stdin))
        elif not owner.config.get("agent_verkey"):
            raise Problem("the agent is not known yet: owner.py accept takes its key")
        elif argv[0] == "events":
            for message in owner.events("--follow" in argv):
                show(message)
        else:
            kind, body = order(argv[0], argv[1:])
            owner.ask(kind, body, message_id, show)
    except (Problem, CryptoError, OSError, ValueError, IndexError) as fault:
        print(f"owner.py: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
