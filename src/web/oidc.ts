import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Client from 'openid-client';
import { checkedAs } from '../kernel/json.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import { OF_WALLET, ROLES, type Role } from './roles.ts';

/** Signing in at an OpenID Provider: the authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636). */

const Text = Type.String({ minLength: 1, maxLength: 2000 });
const Rule = Type.Object(
  {
    claim: Text,
    value: Type.Union([Type.String({ maxLength: 2000 }), Type.Number(), Type.Boolean()]),
    role: Type.Union(ROLES.map((role) => Type.Literal(role))),
    wallet: Type.Optional(Text),
  },
  { additionalProperties: false },
);
const File = validator(
  Type.Object(
    {
      issuer: Text,
      client_id: Text,
      client_secret: Type.Optional(Text),
      redirect_uri: Text,
      name: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
      scope: Type.Optional(Text),
      roles: Type.Array(Rule, { minItems: 1, maxItems: 1000 }),
    },
    { additionalProperties: false },
  ),
);

/** Who gets which role: the first rule whose claim has the value, or a list with it. */
export interface LoginRule {
  readonly claim: string;
  readonly value: string | number | boolean;
  readonly role: Role;
  /** The wallet, where the agent has several. */
  readonly wallet?: string;
}

/** The file of `--console-login`. */
export interface LoginFile {
  readonly issuer: string;
  readonly client_id: string;
  /** Absent: a public client. */
  readonly client_secret?: string;
  /** `<this agent>/console/oidc/callback`, as it is registered at the provider. */
  readonly redirect_uri: string;
  /** The name of the provider, for people. */
  readonly name?: string;
  readonly scope?: string;
  readonly roles: readonly LoginRule[];
}

const CALLBACK = '/console/oidc/callback';
const isLoopback = ({ hostname }: URL): boolean => hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');

/** @throws Error in words for a URL that is none, or not https beyond this machine */
function checkUrl(name: string, text: string): URL {
  if (!URL.canParse(text)) throw new Error(`${name} is no URL`);
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) throw new Error(`${name} must be https`);
  return url;
}

/** Reads the file of `--console-login`. @throws Error that names the file and what is wrong */
export function readLogin(path: string): LoginFile {
  try {
    const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
    const content = parse(readFileSync(path, 'utf8'));
    File.parse(content, 'bad-request');
    const file = checkedAs<LoginFile>(content);
    checkUrl('issuer', file.issuer);
    if (checkUrl('redirect_uri', file.redirect_uri).pathname !== CALLBACK) throw new Error(`the path of redirect_uri must be ${CALLBACK}`);
    for (const { role, wallet } of file.roles)
      if (wallet !== undefined && !OF_WALLET.includes(role)) throw new Error(`the role ${role} is not one of a wallet`);
    return file;
  } catch (error) {
    throw new Error(`--console-login ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** The rule for somebody with these claims; undefined where none fits. */
export const ruleFor = (rules: readonly LoginRule[], claims: JsonObject): LoginRule | undefined =>
  rules.find(({ claim, value }) => {
    const own: Json | undefined = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
    return Array.isArray(own) ? own.includes(value) : own === value;
  });

const TIMEOUT_SECONDS = 10;

/** A login that was begun: where the browser goes, and the text that its cookie has until it comes back. */
export interface Begun {
  readonly url: string;
  readonly kept: string;
}

/** A client of the provider. Its discovery document is read at the first login, and again after one that failed. */
export function createLogin(file: LoginFile) {
  let ready: Promise<{ oidc: typeof Client; config: Client.Configuration }> | undefined;

  async function discover() {
    // nobody else pays for it
    const oidc = await import('openid-client');
    const issuer = new URL(file.issuer);
    const authentication = file.client_secret === undefined ? oidc.None() : undefined;
    const execute = [oidc.enableNonRepudiationChecks, ...(isLoopback(issuer) ? [oidc.allowInsecureRequests] : [])];
    const config = await oidc.discovery(issuer, file.client_id, file.client_secret, authentication, { execute, timeout: TIMEOUT_SECONDS });
    return { oidc, config };
  }
  function client(): Promise<{ oidc: typeof Client; config: Client.Configuration }> {
    ready ??= discover().catch((error: unknown) => {
      ready = undefined;
      throw error;
    });
    return ready;
  }

  return {
    name: file.name ?? new URL(file.issuer).host,

    async begin(): Promise<Begun> {
      const { oidc, config } = await client();
      const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
      const url = oidc.buildAuthorizationUrl(config, {
        ...{ redirect_uri: file.redirect_uri, scope: file.scope ?? 'openid', state, nonce },
        ...{ code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' },
      });
      return { url: url.href, kept: [state, nonce, verifier].join('.') };
    },

    /**
     * Takes the code for an ID token.
     * @param query the query of the callback
     * @param kept the text of the browser's cookie
     * @returns the claims of the ID token. @throws Error where anything does not fit
     */
    async finish(query: string, kept: string): Promise<JsonObject & { readonly sub: string }> {
      const [state, nonce, verifier] = kept.split('.');
      if (!state || !nonce || !verifier) throw new Error('the cookie of the login is damaged');
      const { oidc, config } = await client();
      const callback = new URL(file.redirect_uri);
      callback.search = query;
      const tokens = await oidc.authorizationCodeGrant(config, callback, {
        ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
      });
      return checkedAs<JsonObject & { readonly sub: string }>(tokens.claims());
    },

    ruleFor: (claims: JsonObject): LoginRule | undefined => ruleFor(file.roles, claims),
  };
}

export type Login = ReturnType<typeof createLogin>;
