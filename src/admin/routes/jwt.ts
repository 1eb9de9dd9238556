import { createPublicKey, verify } from 'node:crypto';
import Type from 'typebox';
import { fromBase64url, looksLikeVerkey, toBase58, toBase64url } from '../../didcomm/encoding.ts';
import { signBytes } from '../../didcomm/keys.ts';
import { parseJsonObject } from '../../didcomm/safe-json.ts';
import { findMethod, methodKey } from '../../dids/did-doc.ts';
import { type PublicKey, toJwk } from '../../dids/did-key.ts';
import { AppError } from '../../errors.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type DidValue, did as didRecord } from '../../records/did.ts';
import { walletKey } from '../../records/wallet-key.ts';
import type { Admin, AdminRoute } from '../route.ts';

const ALGORITHMS: readonly string[] = ['EdDSA', 'ES256'];
const encoded = (value: unknown): string => toBase64url(Buffer.from(JSON.stringify(value), 'utf8'));

/** The key that a verification method names, as its DID's document has it. */
async function keyOf(admin: Admin, tenant: string, kid: string): Promise<PublicKey> {
  const [subject] = kid.split('#') as [string];
  const { document } = await admin.work(tenant).resolver.resolve(subject);
  const key = methodKey(findMethod(document, kid));
  if (!key) throw new AppError('bad-request', 'Unable to dereference the verification method');
  return key;
}

/** The verification method that signs for a DID of this wallet, and its key. */
async function signerOf(admin: Admin, tenant: string, did: string): Promise<{ kid: string; verkey: string }> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: didRecord.category, tag: 'did', equals: did }]);
  const own = rows?.[0]?.value as unknown as DidValue | undefined;
  if (!own) throw new AppError('not-found', `Unknown DID: ${did}`);
  // of a DID that is not published yet, only the wallet knows what its document will say
  if (own.method === 'algo') return { kid: `${did}#key-1`, verkey: own.verkey };
  const { document } = await admin.work(tenant).resolver.resolve(did);
  const reference = [document.assertionMethod ?? [], document.authentication ?? []].flat().find((one) => typeof one === 'string');
  if (typeof reference !== 'string') throw new AppError('bad-request', 'Bad did or verification method');
  return { kid: reference.startsWith('#') ? did + reference : reference, verkey: own.verkey };
}

async function verkeyOfMethod(admin: Admin, tenant: string, kid: string): Promise<string> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: walletKey.category, tag: 'kid', equals: kid }]);
  if (rows?.[0]) return rows[0].value.verkey as string;
  const [subject] = kid.split('#') as [string];
  const [own] = await admin.kernel.db.store.load(tenant, [{ category: didRecord.category, tag: 'did', equals: subject }]);
  if (own?.[0]?.value.method === 'algo' && kid.endsWith('#key-1')) return own[0].value.verkey as string;
  const key = await keyOf(admin, tenant, kid);
  if (key.type !== 'ed25519') throw new AppError('bad-request', 'Bad did or verification method');
  return toBase58(key.bytes);
}

function objectOf(part: string, what: string): JsonObject {
  try {
    const bytes = fromBase64url(part);
    if (bytes) return parseJsonObject(bytes) as JsonObject;
  } catch {
    // told below, with what it is and not what is in it
  }
  throw new AppError('bad-request', `The ${what} of the JWT is not a JSON object in base64url`);
}

function isSigned(key: PublicKey, alg: string, text: string, signature: Uint8Array): boolean {
  if ((alg === 'EdDSA') !== (key.type === 'ed25519') || (alg === 'ES256') !== (key.type === 'p256')) return false;
  const publicKey = createPublicKey({ key: toJwk(key), format: 'jwk' });
  // RFC 7518 section 3.4: r and s side by side, not DER
  return verify(alg === 'ES256' ? 'sha256' : null, Buffer.from(text), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

/** JSON Web Tokens under the wallet's keys and anybody's DIDs (RFC 7515, 7519, 8037). */
export const jwtRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /wallet/jwt/sign',
    tag: 'wallet',
    summary: 'Create a jws using did keys with a given payload',
    body: Type.Object({
      headers: Type.Optional(Type.Object({})),
      payload: Type.Object({}),
      did: Type.Optional(Type.String({ maxLength: 5100 })),
      verificationMethod: Type.Optional(Type.String({ maxLength: 5400 })),
    }),
    async handle(admin, { tenant, body }) {
      const { did, verificationMethod, headers, payload } = body as Record<string, string> & { headers?: JsonObject; payload: JsonObject };
      if (verificationMethod === undefined && did === undefined) throw new AppError('bad-request', 'Bad did or verification method');
      const { kid, verkey } =
        verificationMethod === undefined
          ? await signerOf(admin, tenant, did!)
          : { kid: verificationMethod, verkey: await verkeyOfMethod(admin, tenant, verificationMethod) };
      const pair = looksLikeVerkey(verkey) ? await admin.kernel.keys.pair(tenant, verkey) : undefined;
      if (!pair) throw new AppError('not-found', 'The key of the verification method is not in this wallet');
      const text = `${encoded({ ...headers, typ: headers?.typ ?? 'JWT', alg: 'EdDSA', kid })}.${encoded(payload)}`;
      return `${text}.${toBase64url(signBytes(Buffer.from(text), pair))}`;
    },
  },
  {
    route: 'POST /wallet/jwt/verify',
    tag: 'wallet',
    summary: 'Verify a jws using did keys with a given JWS',
    body: Type.Object({ jwt: Type.String({ pattern: '^[-_a-zA-Z0-9]*\\.[-_a-zA-Z0-9]*\\.[-_a-zA-Z0-9]*$' }) }),
    async handle(admin, { tenant, body }) {
      const [head, claims, signed] = (body.jwt as string).split('.') as [string, string, string];
      const headers = objectOf(head, 'header');
      for (const name of ['alg', 'kid'])
        if (typeof headers[name] !== 'string') throw new AppError('bad-request', `Missing '${name}' parameter in JWS header`);
      const { alg, kid } = headers as { alg: string; kid: string };
      if (!ALGORITHMS.includes(alg))
        throw new AppError(
          'bad-request',
          `Unsupported 'alg' value in JWS header: '${alg.slice(0, 64)}'. Supported algorithms: ${ALGORITHMS.join(', ')}`,
        );
      const payload = objectOf(claims, 'payload');
      const key = await keyOf(admin, tenant, kid);
      const signature = fromBase64url(signed) ?? Buffer.alloc(0);
      return { valid: isSigned(key, alg, `${head}.${claims}`, signature), headers, payload, kid };
    },
  },
];
