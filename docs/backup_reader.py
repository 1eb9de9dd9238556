#!/usr/bin/env python3
"""Opens a backup: python3 backup_reader.py FILE < WORDS > LINES     (pip install jwcrypto mnemonic)"""
import base64, hashlib, json, sys, zlib
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwcrypto import jwe, jwk
from mnemonic import Mnemonic

b64 = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

def opened(line, key):
    token = jwe.JWE()
    token.deserialize(line, key)
    return token.jose_header, token.payload

entropy = bytes(Mnemonic("english").to_entropy(sys.stdin.read().split()))
private = HKDF(SHA256(), 32, b"flexid wallet backup 1", b"keyAgreement").derive(entropy)
public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
recovery = jwk.JWK(kty="OKP", crv="X25519", d=b64(private), x=b64(public))

lines = open(sys.argv[1]).read().split()
head = json.loads(opened(lines[0], recovery)[1])
key = jwk.JWK(**head.pop("key"))
stream, text, end = zlib.decompressobj(31), b"", None
for n, line in enumerate(lines[1:], 1):
    header, piece = opened(line, key)
    assert header["n"] == n and end is None, "a line stands in the place of another"
    if header.get("end"):
        end = json.loads(piece)
    else:
        text += stream.decompress(piece)
assert end and end["pieces"] == len(lines) - 2, "the end is missing"
assert end["sha256"] == hashlib.sha256(text).hexdigest(), "the content is another than its end says"
print(json.dumps(head))
sys.stdout.write(text.decode())
