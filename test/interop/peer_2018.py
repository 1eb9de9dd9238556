"""A peer of the 2018 Agent Protocol: PyNaCl, msgpack and the standard library, from the text alone.

It listens on a port of the loopback, and does what the lines of its standard input say, one JSON object each; each is answered by one line.
"""

import base64
import json
import os
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgpack
from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519
from nacl.public import Box, PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey

TYPE = "urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * 58 + ALPHABET.index(character)
    return number.to_bytes(32, "big")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def public(verkey: str) -> PublicKey:
    return PublicKey(crypto_sign_ed25519_pk_to_curve25519(unbase58(verkey)))


class Key:
    """An Ed25519 key: its DID is the base58 of its first half."""

    def __init__(self) -> None:
        self.signing = SigningKey.generate()
        raw = bytes(self.signing.verify_key)
        self.did, self.verkey = base58(raw[:16]), base58(raw)
        self.private: PrivateKey = self.signing.to_curve25519_private_key()


def seal(verkey: str, data: bytes) -> bytes:
    return SealedBox(public(verkey)).encrypt(data)


def unseal(key: Key, data: bytes) -> bytes:
    return SealedBox(key.private).decrypt(data)


def auth(key: Key, verkey: str, data: bytes) -> bytes:
    nonce = os.urandom(24)
    box = Box(key.private, public(verkey)).encrypt(data, nonce).ciphertext
    return seal(verkey, msgpack.packb({"msg": b64(box), "sender": key.verkey, "nonce": b64(nonce)}))


def unauth(key: Key, verkey: str, data: bytes) -> bytes:
    inside = msgpack.unpackb(unseal(key, data))
    assert list(inside) == ["msg", "sender", "nonce"], "the container has other members"
    assert inside["sender"] == verkey, "another sender"
    return Box(key.private, public(verkey)).decrypt(unb64(inside["msg"]), unb64(inside["nonce"]))


class Peer:
    def __init__(self) -> None:
        self.endpoint = Key()
        self.inbox: list[dict] = []
        self.came = threading.Condition()
        self.links: list[dict] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    assert self.headers["content-type"] == "text/plain; charset=us-ascii", self.headers["content-type"]
                    base = json.loads(unseal(peer.endpoint, unb64(body.decode("ascii"))))
                    assert list(base) == ["id", "type", "message"], list(base)
                    status = 202
                    with peer.came:
                        peer.inbox.append(base)
                        peer.came.notify_all()
                except Exception as error:  # whatever a stranger posts
                    print(repr(error), file=sys.stderr)
                    status = 400
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/indy"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(self, to: dict, name: str, mid: str, message: object) -> int:
        base = {"id": mid, "type": TYPE + name, "message": message}
        payload = b64(seal(to["verkey"], json.dumps(base).encode())).encode()
        request = urllib.request.Request(to["endpoint"], payload, {"content-type": "text/plain; charset=us-ascii"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 202 and answer.read() == b"", answer.status
            return answer.status

    def next(self, name: str, fits=lambda base: True) -> dict:
        def found() -> dict | None:
            return next((one for one in self.inbox if one["type"] == TYPE + name and fits(one)), None)

        with self.came:
            assert self.came.wait_for(lambda: found() is not None, 60), f"no {name} came"
            base = found()
            self.inbox.remove(base)
            return base

    def accept(self, offer: dict) -> dict:
        """The requester's part: request, response, acknowledgement."""
        assert offer["type"] == TYPE + "connection_offer"
        to, mine, nonce = offer["message"], Key(), os.urandom(16).hex()
        assert to["did"] == base58(unbase58(to["verkey"])[:16]), "the DID is not made of the key"
        request = {"did": mine.did, "nonce": nonce, "request_nonce": nonce, "endpoint_did": self.endpoint.did}
        request |= {"endpoint": self.url, "verkey": mine.verkey, "endpoint_verkey": self.endpoint.verkey}
        self.post(to, "connection_request", offer["id"], request)
        base = self.next("connection_response", lambda one: one["id"] == nonce)
        inside = json.loads(unseal(mine, unb64(base["message"])))
        assert inside["request_nonce"] == nonce
        link = {"mine": mine, "did": inside["did"], "verkey": inside["verkey"], "to": to}
        self.links.append(link)
        self.say(link, "connection_acknowledgement", '"success"')
        return {"link": len(self.links) - 1, "did": mine.did}

    def offer(self) -> dict:
        nonce = os.urandom(16).hex()
        message = {"did": self.endpoint.did, "verkey": self.endpoint.verkey, "endpoint": self.url, "offer_nonce": nonce}
        return {"offer": {"id": nonce, "type": TYPE + "connection_offer", "message": message}}

    def respond(self, offer: dict) -> dict:
        """The offerer's part."""
        request = self.next("connection_request", lambda one: one["id"] == offer["id"])["message"]
        to = {"verkey": request["endpoint_verkey"], "endpoint": request["endpoint"]}
        mine, nonce = Key(), request["nonce"]
        signed = f"legacy-response/1|{mine.did}|{mine.verkey}|{nonce}".encode()
        sig = {"verkey": self.endpoint.verkey, "signature": b64(self.endpoint.signing.sign(signed).signature)}
        inside = {"did": mine.did, "verkey": mine.verkey, "request_nonce": nonce, "sig": sig}
        self.post(to, "connection_response", nonce, b64(seal(request["verkey"], json.dumps(inside).encode())))
        link = {"mine": mine, "did": request["did"], "verkey": request["verkey"], "to": to}
        self.links.append(link)
        assert self.hear(link, "connection_acknowledgement") == '"success"'
        return {"link": len(self.links) - 1, "did": mine.did}

    def say(self, link: dict, name: str, text: str) -> int:
        return self.post(link["to"], name, link["mine"].did, b64(auth(link["mine"], link["verkey"], text.encode())))

    def hear(self, link: dict, name: str) -> str:
        base = self.next(name, lambda one: one["id"] == link["did"])
        return unauth(link["mine"], link["verkey"], unb64(base["message"])).decode()


def main() -> None:
    peer = Peer()
    orders = {
        "offer": lambda order: peer.offer(),
        "accept": lambda order: peer.accept(order["offer"]),
        "respond": lambda order: peer.respond(order["offer"]),
        "say": lambda order: {"status": peer.say(peer.links[order["link"]], order["name"], json.dumps(order["content"]))},
        "hear": lambda order: {"content": json.loads(peer.hear(peer.links[order["link"]], order["name"]))},
    }
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = orders[order["do"]](order)
        except Exception as error:  # told to the test
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
