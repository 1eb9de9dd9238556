"""A website by the unmodified Authlib, and the browser of a user of it: one login. Prints the provider's page, waits for a line, then prints the claims."""

import json
import sys
import time
from urllib.parse import urljoin

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

given = json.loads(sys.argv[1])
browser = requests.Session()
metadata = browser.get(given["issuer"] + "/.well-known/openid-configuration", timeout=30).json()
website = OAuth2Session(
    given["client_id"],
    given["client_secret"],
    scope="openid vc_authn",
    redirect_uri=given["redirect_uri"],
    code_challenge_method="S256",
)
verifier, nonce = generate_token(48), generate_token(20)


def browse(url: str) -> tuple[str, str]:
    """Follows redirects up to a page, or to the website: its URL and text."""
    while not url.startswith(given["redirect_uri"]):
        answer = browser.get(url, allow_redirects=False, timeout=30)
        if answer.status_code not in (302, 303):
            return url, answer.text
        url = urljoin(url, answer.headers["location"])
    return url, ""


url, _state = website.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, pres_req_conf_id=given["configuration"]
)
page, html = browse(url)
print(json.dumps({"html": html}), flush=True)
sys.stdin.readline()
while not (back := browse(page)[0]).startswith(given["redirect_uri"]):
    time.sleep(0.2)
token = website.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier)
keys = JsonWebKey.import_key_set(browser.get(metadata["jwks_uri"], timeout=30).json())
claims = jwt.decode(token["id_token"], keys, claims_cls=CodeIDToken, claims_params={"nonce": nonce})
claims.validate()
userinfo = website.get(metadata["userinfo_endpoint"]).json()
print(json.dumps({"alg": claims.header["alg"], "claims": claims, "userinfo": userinfo}), flush=True)
