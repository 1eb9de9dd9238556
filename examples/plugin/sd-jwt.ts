import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import { findMethod, methodKey } from '../../src/dids/did-doc.ts';
import { toJwk } from '../../src/dids/did-key.ts';
import { concealed, jwtPayload, revealed, sdHash, sdJwtParts } from '../../src/formats/sd-jwt.ts';
import { AppError, defineFormat, definePlugin, type JsonObject, Type, type WorkContext } from '../../src/kernel/plugin.ts';

/**
 * A credential format in one file: SD-JWT (RFC 9901) with EdDSA, issued by a DID of the wallet and bound to a key of the holder's own.
 * `./flexid start --plugin examples/plugin/sd-jwt.ts ...` on both sides; then `filter.sd_jwt` and `presentation_request.sd_jwt` are taken.
 */

const NAME = 'sd_jwt';
/** Claims that are no attribute of the credential. */
const REGISTERED = ['iss', 'iat', 'cnf', 'vct'];

const refuse = (why: string): never => {
  throw new AppError('bad-request', why);
};
const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signed(header: JsonObject, payload: JsonObject, key: KeyObject): string {
  const text = `${encoded({ alg: 'EdDSA', ...header })}.${encoded(payload)}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}

function isSigned(jwt: string, jwk: JsonObject): boolean {
  const [header, payload, signature = ''] = jwt.split('.');
  try {
    const key = createPublicKey({ key: jwk as never, format: 'jwk' });
    if (key.asymmetricKeyType !== 'ed25519') return false;
    return verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

/** A DID of this wallet as an issuer: its key, and the verification method that names it. */
async function issuerOf(ctx: WorkContext, did: string): Promise<{ kid: string; key: KeyObject }> {
  const [rows] = await ctx.store.load(ctx.tenant, [{ category: 'did', tag: 'did', equals: did }]);
  const stored = rows?.[0] && (await ctx.store.key(ctx.tenant, rows[0].value.verkey as string));
  if (!stored) return refuse(`This wallet has no DID ${did}`);
  const secret = Buffer.from(stored.secret);
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: secret.subarray(0, 32).toString('base64url'), x: secret.subarray(32).toString('base64url') };
  const { document } = await ctx.resolver.resolve(did);
  const [kid] = [document.assertionMethod ?? []].flat();
  return { kid: String(kid), key: createPrivateKey({ key: jwk, format: 'jwk' }) };
}

/** The claims of an SD-JWT that its issuer signed, with what is disclosed of them. @throws AppError `bad-request` */
async function claimsOf(ctx: WorkContext, jwt: string, disclosures: readonly string[]): Promise<JsonObject> {
  const payload = jwtPayload(jwt);
  // the header is read as a payload is: within bounds, or refused
  const { kid } = jwtPayload(`.${jwt.split('.')[0]}`);
  const issuer = String(payload.iss);
  if (typeof kid !== 'string' || !kid.startsWith(`${issuer}#`)) return refuse('The credential is signed by another DID than its issuer');
  const key = methodKey(findMethod((await ctx.resolver.resolve(issuer)).document, kid));
  if (!key || !isSigned(jwt, toJwk(key))) refuse('The credential is not signed by its issuer');
  return revealed(payload, disclosures);
}

const attributesOf = (claims: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => !REGISTERED.includes(name)));
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

interface Request {
  readonly vct: string;
  readonly issuer?: string;
  readonly claims: readonly string[];
  readonly nonce: string;
}

/** The wallet's credentials that answer a request, newest first. */
async function answering(ctx: WorkContext, { vct, issuer, claims }: Request) {
  const { rows } = await ctx.store.find(ctx.tenant, 'credential', { tags: { format: NAME }, descending: true, limit: 1000 });
  return rows.filter(({ value }) => {
    const attrs = value.attrs as JsonObject;
    return value.vct === vct && (issuer === undefined || value.issuer === issuer) && claims.every((name) => Object.hasOwn(attrs, name));
  });
}

const Name = Type.String({ minLength: 1, maxLength: 256 });

export const sdJwt = defineFormat({
  name: NAME,
  issuance: {
    ids: {
      proposal: 'example/sd-jwt-filter@v1.0',
      offer: 'example/sd-jwt-offer@v1.0',
      request: 'example/sd-jwt-request@v1.0',
      issue: 'example/sd-jwt@v1.0',
    },
    filterSchema: Type.Object({ issuer: Name, vct: Name }),
    async offer(ctx, { filter: { issuer, vct }, preview }) {
      // a filter may be a peer's proposal
      if (typeof issuer !== 'string' || typeof vct !== 'string') return refuse('An SD-JWT is offered by its issuer and type');
      await issuerOf(ctx, issuer);
      if (!preview) return refuse('An SD-JWT is offered with a preview');
      if (preview.some(({ name }) => REGISTERED.includes(name))) return refuse('A claim has a name that is reserved');
      return { value: { issuer, vct, nonce: randomUUID() } };
    },
    async request(_ctx, { offer }) {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const jwk = publicKey.export({ format: 'jwk' }) as JsonObject;
      const proof = signed({ typ: 'proof+jwt', jwk }, { nonce: offer.nonce! }, privateKey);
      return { value: { jwk, proof }, secret: privateKey.export({ format: 'der', type: 'pkcs8' }) };
    },
    async issue(ctx, { offer, request, values }) {
      const { jwk, proof } = request as { jwk: JsonObject; proof: string };
      if (typeof proof !== 'string' || !isSigned(proof, jwk) || jwtPayload(proof).nonce !== offer.nonce)
        return refuse('The request does not prove that the holder has its key');
      const { kid, key } = await issuerOf(ctx, String(offer.issuer));
      const { kty, crv, x } = jwk;
      const claims = {
        iss: offer.issuer!,
        iat: Math.floor(Date.now() / 1000),
        vct: offer.vct!,
        cnf: { jwk: { kty, crv, x } as JsonObject },
      };
      const { payload, disclosures } = concealed({ ...claims, ...values }, ['vct']);
      return { value: { sd_jwt: [signed({ typ: 'dc+sd-jwt', kid }, payload, key), ...disclosures, ''].join('~') } };
    },
    async store(ctx, { offer, credential, secret, offered }) {
      const { jwt, disclosures, binding } = sdJwtParts(String(credential.sd_jwt));
      const claims = await claimsOf(ctx, jwt, disclosures);
      const own = createPublicKey({ key: Buffer.from(secret), format: 'der', type: 'pkcs8' } as never).export({ format: 'jwk' });
      const attrs = attributesOf(claims);
      if (binding || claims.iss !== offer.issuer || claims.vct !== offer.vct) refuse('The credential is another than the one offered');
      if ((claims.cnf as { jwk?: { x?: string } } | undefined)?.jwk?.x !== own.x) refuse('The credential is bound to another key');
      const promised = new Map((offered ?? []).map(({ name, value }) => [name, value]));
      if (promised.size !== Object.keys(attrs).length || Object.entries(attrs).some(([name, value]) => promised.get(name) !== value))
        refuse('The credential has other values than the ones offered');
      return { credential: { sd_jwt: credential.sd_jwt! }, info: { issuer: claims.iss!, vct: claims.vct!, attrs }, secret };
    },
  },
  presentation: {
    ids: { request: 'example/sd-jwt-query@v1.0', proof: 'example/sd-jwt-presentation@v1.0' },
    requestSchema: Type.Object({
      vct: Name,
      issuer: Type.Optional(Name),
      claims: Type.Array(Name, { maxItems: 100 }),
      nonce: Type.Optional(Name),
    }),
    choiceSchema: Type.Object({ credential_id: Name }),
    request(given, code, newNonce) {
      const { vct, claims, issuer } = given;
      const named = Array.isArray(claims) && claims.every((name) => typeof name === 'string' && !REGISTERED.includes(name));
      if (typeof vct !== 'string' || !named || (issuer !== undefined && typeof issuer !== 'string'))
        throw new AppError(code, 'the request names no claims of a type of credential');
      return { ...given, nonce: given.nonce ?? newNonce() };
    },
    checkChoice() {},
    async present(ctx, { request, choice }) {
      const asked = sdJwt.presentation!.request(request, 'bad-request', randomUUID) as unknown as Request;
      const rows = await answering(ctx, asked);
      const row = choice ? rows.find(({ id }) => id === choice.credential_id) : rows[0];
      if (!row) return { lacking: [...asked.claims] };
      const key = await ctx.store.key(ctx.tenant, `credential:${row.id}`);
      if (!key) throw new AppError('internal', 'the key of a credential is missing');
      const { jwt, disclosures } = sdJwtParts((row.value.credential as { sd_jwt: string }).sd_jwt);
      const shown = disclosures.filter((one) => asked.claims.includes(JSON.parse(Buffer.from(one, 'base64url').toString())[1]));
      const over = [jwt, ...shown, ''].join('~');
      const holder = createPrivateKey({ key: Buffer.from(key.secret), format: 'der', type: 'pkcs8' });
      const bound = { nonce: asked.nonce, iat: Math.floor(Date.now() / 1000), sd_hash: sdHash(jwtPayload(jwt), over) };
      return { value: { sd_jwt: over + signed({ typ: 'kb+jwt' }, bound, holder) } };
    },
    async verify(ctx, { request, presentation }) {
      const { vct, issuer, claims: names, nonce } = request as unknown as Request;
      try {
        const { jwt, disclosures, binding } = sdJwtParts(String(presentation.sd_jwt));
        const claims = await claimsOf(ctx, jwt, disclosures);
        const jwk = (claims.cnf as { jwk?: JsonObject } | undefined)?.jwk;
        if (!binding || !jwk || !isSigned(binding.jwt, jwk)) return refuse('The holder has not signed the presentation');
        const bound = jwtPayload(binding.jwt);
        if (bound.nonce !== nonce || bound.sd_hash !== sdHash(jwtPayload(jwt), binding.over)) return refuse('It answers another request');
        if (claims.vct !== vct || (issuer !== undefined && claims.iss !== issuer)) return refuse('It is of another type or issuer');
        if (!same(Object.keys(attributesOf(claims)).sort(), [...names].sort())) return refuse('It shows other claims than were asked for');
        return { verified: true, reasons: [] };
      } catch (error) {
        if (!(error instanceof AppError) || error.row.retry) throw error;
        return { verified: false, reasons: [error.message] };
      }
    },
    async match(ctx, { request, referents }) {
      const asked = sdJwt.presentation!.request(request, 'bad-request', randomUUID) as unknown as Request;
      const wanted = asked.claims.filter((name) => referents?.includes(name) ?? true);
      const rows = wanted.length > 0 ? await answering(ctx, asked) : [];
      return rows.toReversed().map((row) => ({ row, referents: wanted }));
    },
  },
});

export default definePlugin({ name: 'sd-jwt', formats: [sdJwt] });
