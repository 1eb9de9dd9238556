import * as oidc from 'openid-client';
import { serve } from '../music-service/serve.mjs';

/** A website that has its users log in at the provider, by the unmodified openid-client; and the browser of one of them, with its cookies. */

let login;
const cookies = new Map();

/** Follows redirects as a browser does, up to a page or to the website's own address. */
async function browse(url, method = 'GET') {
  for (let hops = 0; hops < 10; hops++) {
    if (url.href.startsWith(login.redirect_uri)) {
      login.callback = url;
      const { error, error_description } = Object.fromEntries(url.searchParams);
      return { back: true, error, error_description };
    }
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { method, redirect: 'manual', headers: { cookie } });
    for (const one of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(one);
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    if (answer.status < 300 || answer.status > 399) {
      login.page = url;
      return { status: answer.status, html: await answer.text(), policy: answer.headers.get('content-security-policy') };
    }
    url = new URL(answer.headers.get('location'), url);
    method = 'GET';
  }
  throw new Error('it redirects for ever');
}

serve({
  /** Begins a login: up to the provider's page. `code_challenge: false` leaves out what RFC 7636 wants. */
  async begin({ issuer, client, redirect_uri, parameters, pkce = true }) {
    const authentication = client.client_secret ? undefined : oidc.None();
    const metadata = { ...client, id_token_signed_response_alg: 'ES256' };
    const config = await oidc.discovery(new URL(issuer), client.client_id, metadata, authentication, {
      execute: [oidc.allowInsecureRequests],
    });
    const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()];
    login = { config, verifier, state, nonce, redirect_uri };
    const challenge = { code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' };
    const all = { redirect_uri, scope: 'openid vc_authn', state, nonce, ...(pkce && challenge), ...parameters };
    return await browse(oidc.buildAuthorizationUrl(config, all));
  },
  /** Looks at the provider's page again, or presses one of its buttons. */
  look: async ({ button }) => await browse(button ? new URL(`${login.page.pathname}/${button}`, login.page) : login.page, button && 'POST'),
  /** Another browser opens the page of this login. */
  async steal() {
    const answer = await fetch(login.page, { redirect: 'manual' });
    return { status: answer.status, html: await answer.text() };
  },
  /** Takes the code for tokens; once more is a replay. */
  async finish() {
    const checks = { pkceCodeVerifier: login.verifier, expectedState: login.state, expectedNonce: login.nonce };
    try {
      const tokens = await oidc.authorizationCodeGrant(login.config, login.callback, checks);
      const claims = tokens.claims();
      return { claims, userinfo: await oidc.fetchUserInfo(login.config, tokens.access_token, claims.sub) };
    } catch (error) {
      return { error: error.error ?? error.message };
    }
  },
});
