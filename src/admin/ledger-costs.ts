import { createHash } from 'node:crypto';
import type { Static } from 'typebox';
import { verkeyBytes } from '../didcomm/encoding.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { algoDocument } from '../dids/own-documents.ts';
import Type from '../kernel/type.ts';
import type { Ledger } from '../ports/ledger.ts';

/** A write that is not made yet, by what its size follows from. */
export const Planned = Type.Union([
  Type.Object({ type: Type.Literal('did'), endpoint: Type.Optional(Type.String({ maxLength: 2000 })) }),
  Type.Object({
    type: Type.Literal('schema'),
    attributes: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 125 }),
    name: Type.Optional(Type.String({ maxLength: 256 })),
    version: Type.Optional(Type.String({ maxLength: 64 })),
  }),
  Type.Object({
    type: Type.Literal('credential_definition'),
    attributes: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 125 }),
    support_revocation: Type.Optional(Type.Boolean()),
    tag: Type.Optional(Type.String({ maxLength: 256 })),
  }),
  Type.Object({ type: Type.Literal('revocation_registry'), max_cred_num: Type.Integer({ minimum: 4, maximum: 32_768 }) }),
]);
export type Planned = Static<typeof Planned>;

/** The key of examples: no write is made under it. */
const { verkey: VERKEY } = newKeyPair(createHash('sha256').update('estimate').digest());

/** Numbers of keys do not compress, so examples of them have the same size on the ledger: a text of this length, the same each time. */
function digest(name: string, length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i++) text += createHash('sha256').update(`${name} ${i}`).digest('hex').toUpperCase();
  return text.slice(0, length);
}
const decimal = (name: string): string =>
  `1${BigInt(`0x${digest(name, 560)}`)
    .toString()
    .slice(0, 616)}`;
/** A point of a curve as the AnonCreds library writes it: pairs of a number and a coordinate. */
const point = (name: string, pairs: number): string =>
  Array.from({ length: pairs }, (_none, i) => `1 ${digest(`${name} ${i}`, 64)}`).join(' ');

function credentialDefinition(issuerId: string, write: Extract<Planned, { type: 'credential_definition' }>): Record<string, unknown> {
  const r = Object.fromEntries([...write.attributes, 'master_secret'].map((name) => [name, decimal(name)]));
  const [n, s, rctxt, z] = ['n', 's', 'rctxt', 'z'].map(decimal);
  const [short, long] = [
    ['g', 'h', 'h0', 'h1', 'h2', 'htilde', 'pk'],
    ['g_dash', 'h_cap', 'u', 'y'],
  ];
  const revocation = Object.fromEntries([...short.map((one) => [one, point(one, 3)]), ...long.map((one) => [one, point(one, 6)])]);
  const value = { primary: { n, s, r, rctxt, z }, ...(write.support_revocation ? { revocation } : {}) };
  return { issuerId, schemaId: `${issuerId}/anoncreds/v1/SCHEMA/${digest('id', 32)}`, type: 'CL', tag: write.tag ?? 'default', value };
}

/** An example of a write, as large on the ledger as the write itself. */
function exampleOf(ledger: Ledger, did: string, write: Planned, endpoint: string): Parameters<Ledger['estimate']>[0] {
  if (write.type === 'did')
    return { kind: 'did-put', did, document: algoDocument({ did, verkey: VERKEY, endpoint: write.endpoint ?? endpoint }) };
  const put = (type: 'SCHEMA' | 'CLAIM_DEF', object: Record<string, unknown>) =>
    ({ kind: 'object-put', id: ledger.idOf(did, type, object), did, type, object }) as const;
  if (write.type === 'schema') {
    const { name = 'name', version = '1.0', attributes } = write;
    return put('SCHEMA', { issuerId: did, name, version, attrNames: [...new Set(attributes)] });
  }
  if (write.type === 'credential_definition') return put('CLAIM_DEF', credentialDefinition(did, write));
  const object = {
    issuerId: did,
    revocDefType: 'CL_ACCUM',
    credDefId: `${did}/anoncreds/v1/CLAIM_DEF/${digest('id', 32)}`,
    tag: '0',
    value: {
      publicKeys: { accumKey: { z: point('z', 12) } },
      maxCredNum: write.max_cred_num,
      tailsLocation: `${endpoint}/tails/${digest('hash', 44)}`,
      tailsHash: digest('hash', 44),
    },
  };
  const revoked = Buffer.alloc(Math.ceil(write.max_cred_num / 8)).toString('base64url');
  return {
    kind: 'registry-put',
    id: ledger.idOf(did, 'REV_REG_DEF', object),
    did,
    object,
    status: { accumulator: point('accumulator', 6).replace(/\b1 /g, '21 '), revoked },
  };
}

/** What a write will cost the account that pays, in microALGO. @throws AppError as `Ledger.estimate` */
export async function costOf(ledger: Ledger, write: Planned, endpoint: string): Promise<number> {
  const did = ledger.didOf(verkeyBytes(VERKEY));
  return await ledger.estimate(exampleOf(ledger, did, write, endpoint));
}

const NAMES = ['given name', 'family name', 'birth date', 'number', 'valid until'];
/** Usual writes, by which a balance is told in other numbers than ALGO. */
export const USUAL: Readonly<Record<string, Planned>> = {
  dids: { type: 'did' },
  schemas: { type: 'schema', attributes: NAMES },
  credential_definitions: { type: 'credential_definition', attributes: NAMES },
  revocation_registries: { type: 'revocation_registry', max_cred_num: 1000 },
};
