import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** An OpenID Provider for tests: authorization code flow with PKCE, one person who is always signed in. It checks what a provider has to. */
export interface Provider {
  readonly issuer: string;
  /** Who signs in next. */
  person: Record<string, unknown>;
  /** What the next ID token has in place of what is right. */
  wrong: Record<string, unknown>;
  /** Signs the next ID token with another key. */
  forged: boolean;
  readonly tokens: number;
  stop(): Promise<void>;
}

export async function startProvider(client: { id: string; secret: string }, redirect: () => string): Promise<Provider> {
  const [own, other] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
  const codes = new Map<string, { challenge: string; nonce: string; redirect: string }>();
  let tokens = 0;
  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, provider.issuer);
    const json = (status: number, body: object): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname === '/.well-known/openid-configuration')
      return json(200, {
        issuer: provider.issuer,
        authorization_endpoint: `${provider.issuer}/authorize`,
        token_endpoint: `${provider.issuer}/token`,
        jwks_uri: `${provider.issuer}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        code_challenge_methods_supported: ['S256'],
      });
    if (url.pathname === '/jwks') return json(200, { keys: [jwk] });
    if (url.pathname === '/authorize') {
      const asked = Object.fromEntries(url.searchParams);
      const fits =
        asked.client_id === client.id &&
        asked.redirect_uri === redirect() &&
        asked.response_type === 'code' &&
        asked.code_challenge_method === 'S256';
      if (!fits || !asked.scope?.split(' ').includes('openid')) return json(400, { error: 'invalid_request' });
      const code = randomBytes(16).toString('hex');
      codes.set(code, { challenge: asked.code_challenge!, nonce: asked.nonce!, redirect: asked.redirect_uri! });
      const back = new URL(asked.redirect_uri!);
      back.search = new URLSearchParams({ code, state: asked.state! }).toString();
      return void response.writeHead(302, { location: back.href }).end();
    }
    let body = '';
    for await (const part of request) body += part;
    const given = Object.fromEntries(new URLSearchParams(body));
    const found = codes.get(given.code ?? '');
    codes.delete(given.code ?? '');
    const proved = createHash('sha256')
      .update(given.code_verifier ?? '')
      .digest('base64url');
    if (given.client_id !== client.id || given.client_secret !== client.secret) return json(401, { error: 'invalid_client' });
    if (!found || proved !== found.challenge || given.redirect_uri !== found.redirect) return json(400, { error: 'invalid_grant' });
    tokens++;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: provider.issuer,
      aud: client.id,
      iat: now,
      exp: now + 60,
      nonce: found.nonce,
      ...provider.person,
      ...provider.wrong,
    };
    const key = provider.forged ? other.privateKey : own.privateKey;
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key);
    return json(200, { access_token: 'x', token_type: 'Bearer', expires_in: 60, id_token: token });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const provider = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    person: {},
    wrong: {},
    forged: false,
    get tokens() {
      return tokens;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return provider;
}
