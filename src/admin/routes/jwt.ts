import { createPublicKey, verify } from 'node:crypto';
import { fromBase64url, looksLikeVerkey, toBase58, toBase64url } from '../../didcomm/encoding.ts';
import { signBytes } from '../../didcomm/keys.ts';
import { parseJsonObject } from '../../didcomm/safe-json.ts';
import { findMethod, methodKey } from '../../dids/did-doc.ts';
import { fromJwk, type PublicKey, toJwk } from '../../dids/did-key.ts';
import { AppError } from '../../errors.ts';
import { concealed, readDisclosures, revealed, sdHash, sdJwtParts } from '../../formats/sd-jwt.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { did as didRecord } from '../../records/did.ts';
import { walletKey } from '../../records/wallet-key.ts';
import type { Admin, AdminRoute } from '../route.ts';

const ALGORITHMS: readonly string[] = ['EdDSA', 'ES256'];
const encoded = (value: unknown): string => toBase64url(Buffer.from(JSON.stringify(value), 'utf8'));

/** The key that a verification method names, as its DID's document has it. */
async function keyOf(admin: Admin, tenant: string, kid: string): Promise<PublicKey> {
  const [subject] = kid.split('#') as [string];
  const { resolver } = admin.work(tenant);
  const keyIn = async (fresh: boolean) => methodKey(findMethod((await resolver.resolve(subject, fresh)).document, kid));
  // a method that the document in memory does not have may be that of a key which was rotated since
  const key = (await keyIn(false)) ?? (await keyIn(true));
  if (!key) throw new AppError('bad-request', 'Unable to dereference the verification method');
  return key;
}

/** The verification method that signs for a DID of this wallet, and its key. */
async function signerOf(admin: Admin, tenant: string, did: string): Promise<{ kid: string; verkey: string }> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: didRecord.category, tag: 'did', equals: did }]);
  const own = didRecord.of(rows?.[0])?.value;
  if (!own) throw new AppError('not-found', `Unknown DID: ${did}`);
  // of a DID that is not published yet, only the wallet knows its document
  if (own.method === 'algo') return { kid: `${did}#key-${own.key_number ?? 1}`, verkey: own.verkey };
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
  const value = didRecord.of(own?.[0])?.value;
  if (value?.method === 'algo') {
    const keys = [{ verkey: value.verkey, number: value.key_number ?? 1 }, ...(value.former_keys ?? [])];
    const named = keys.find(({ number }) => kid === `${subject}#key-${number}`);
    if (named) return named.verkey;
  }
  const key = await keyOf(admin, tenant, kid);
  if (key.type !== 'ed25519') throw new AppError('bad-request', 'Bad did or verification method');
  return toBase58(key.bytes);
}

function objectOf(part: string, what: string): JsonObject {
  try {
    const bytes = fromBase64url(part);
    if (bytes) return parseJsonObject(bytes) as JsonObject;
  } catch {
    // reported below, by its kind and not by its content
  }
  throw new AppError('bad-request', `The ${what} of the JWT is not a JSON object in base64url`);
}

function isSigned(key: PublicKey, alg: string, text: string, signature: Uint8Array): boolean {
  if ((alg === 'EdDSA') !== (key.type === 'ed25519') || (alg === 'ES256') !== (key.type === 'p256')) return false;
  const publicKey = createPublicKey({ key: toJwk(key), format: 'jwk' });
  // RFC 7518 section 3.4: r and s side by side, not DER
  return verify(alg === 'ES256' ? 'sha256' : null, Buffer.from(text), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

const Signing = {
  headers: Type.Optional(Type.Object({})),
  payload: Type.Object({}),
  did: Type.Optional(Type.String({ maxLength: 5100 })),
  verificationMethod: Type.Optional(Type.String({ maxLength: 5400 })),
};

/** A JWT of a payload, by the key that the body names. The key is looked for first: only who may sign has a payload made. */
async function signed(admin: Admin, tenant: string, body: Record<string, unknown>, make: () => JsonObject): Promise<string> {
  const { did, verificationMethod, headers } = body as { did?: string; verificationMethod?: string; headers?: JsonObject };
  if (verificationMethod === undefined && did === undefined) throw new AppError('bad-request', 'Bad did or verification method');
  const { kid, verkey } =
    verificationMethod === undefined
      ? await signerOf(admin, tenant, did!)
      : { kid: verificationMethod, verkey: await verkeyOfMethod(admin, tenant, verificationMethod) };
  const pair = looksLikeVerkey(verkey) ? await admin.kernel.keys.pair(tenant, verkey) : undefined;
  if (!pair) throw new AppError('not-found', 'The key of the verification method is not in this wallet');
  const payload = make();
  const text = `${encoded({ ...headers, typ: headers?.typ ?? 'JWT', alg: 'EdDSA', kid })}.${encoded(payload)}`;
  return `${text}.${toBase64url(signBytes(Buffer.from(text), pair))}`;
}

interface Verified {
  readonly valid: boolean;
  readonly headers: JsonObject;
  readonly payload: JsonObject;
  readonly kid: string;
}

/** Whether a JWT is signed by the key that its `kid` names. @throws AppError for one that cannot be asked that */
async function verified(admin: Admin, tenant: string, jwt: string): Promise<Verified> {
  const [head, claims, signature] = jwt.split('.') as [string, string, string];
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
  return { valid: isSigned(key, alg, `${head}.${claims}`, fromBase64url(signature) ?? Buffer.alloc(0)), headers, payload, kid };
}

/** Why a key binding JWT is not of the holder that the issuer named, and of what was shown; undefined where it is (RFC 9901 section 7.3, but for audience and nonce). */
function bindingFault(payload: JsonObject, { jwt, over }: { jwt: string; over: string }): string | undefined {
  const [head = '', claims = '', signature = ''] = jwt.split('.');
  const headers = objectOf(head, 'key binding header');
  const key = fromJwk((payload.cnf as JsonObject | undefined)?.jwk);
  if (headers.typ !== 'kb+jwt') return 'the key binding JWT has another type';
  if (!key || !isSigned(key, String(headers.alg), `${head}.${claims}`, fromBase64url(signature) ?? Buffer.alloc(0)))
    return 'the key binding JWT is not signed by the key of the holder';
  return objectOf(claims, 'key binding payload').sd_hash === sdHash(payload, over)
    ? undefined
    : 'the key binding JWT is of another presentation';
}

/** JSON Web Tokens under the wallet's keys and anybody's DIDs (RFC 7515, 7519, 8037), and SD-JWTs (RFC 9901). */
export const jwtRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /wallet/jwt/sign',
    tag: 'wallet',
    summary: 'Create a jws using did keys with a given payload',
    body: Type.Object(Signing),
    handle: (admin, { tenant, body }) => signed(admin, tenant, body, () => body.payload as JsonObject),
  },
  {
    route: 'POST /wallet/jwt/verify',
    tag: 'wallet',
    summary: 'Verify a jws using did keys with a given JWS',
    body: Type.Object({ jwt: Type.String({ pattern: '^[-_a-zA-Z0-9]*\\.[-_a-zA-Z0-9]*\\.[-_a-zA-Z0-9]*$' }) }),
    handle: async (admin, { tenant, body }) => ({ ...(await verified(admin, tenant, body.jwt as string)) }),
  },
  {
    route: 'POST /wallet/sd-jwt/sign',
    tag: 'wallet',
    summary: 'Create an sd-jws using did keys with a given payload',
    body: Type.Object({ ...Signing, non_sd_list: Type.Optional(Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 1000 })) }),
    async handle(admin, { tenant, body }) {
      let disclosures: string[] = [];
      const jwt = await signed(admin, tenant, body, () => {
        const made = concealed(body.payload as JsonObject, (body.non_sd_list ?? []) as string[]);
        disclosures = made.disclosures;
        return made.payload;
      });
      return [jwt, ...disclosures, ''].join('~');
    },
  },
  {
    route: 'POST /wallet/sd-jwt/verify',
    tag: 'wallet',
    summary: 'Verify an sd-jws using did keys with a given SD-JWS, with optional key binding',
    body: Type.Object({
      sd_jwt: Type.String({
        pattern: '^[-_a-zA-Z0-9]+\\.[-_a-zA-Z0-9]+\\.[-_a-zA-Z0-9]+(~[-_a-zA-Z0-9]+)*~([-_a-zA-Z0-9]+\\.[-_a-zA-Z0-9]+\\.[-_a-zA-Z0-9]+)?$',
      }),
    }),
    async handle(admin, { tenant, body }) {
      const { jwt, disclosures, binding } = sdJwtParts(body.sd_jwt as string);
      const result = await verified(admin, tenant, jwt);
      const read = readDisclosures(disclosures);
      let fault: string | undefined;
      try {
        revealed(result.payload, disclosures);
        fault = binding && bindingFault(result.payload, binding);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        fault = error.message;
      }
      return { ...result, valid: result.valid && fault === undefined, ...(fault === undefined ? {} : { error: fault }), disclosures: read };
    },
  },
];
