import { createHash } from 'node:crypto';
import { type Attachment, readAttachment, signedAttachment, verifySigned, writeAttachment } from '../didcomm/attachments.ts';
import { parseJson } from '../didcomm/safe-json.ts';
import { verkeysFor } from '../dids/did-doc.ts';
import { asAppError } from '../errors.ts';
import type { WorkOrder } from '../kernel/effects.ts';
import { checkedAs } from '../kernel/json.ts';
import type { Incoming } from '../kernel/protocol.ts';
import { Members, validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { JsonObject } from '../ports/json.ts';
import { readDefinition } from './anoncreds-objects.ts';
import { canonicalName } from './anoncreds-values.ts';
import { pictureIn } from './oca-picture.ts';

/**
 * Looks of credentials: OCA bundles (RFC 0755, "OCA for Aries"). An issuer's bundle goes with each offer of its credential definition, as the supplement `oca-bundle`
 * (RFC 0453 as of its version 2.2), signed by the issuer's DID; a holder keeps the newest that is.
 */

/** The category of their records. */
export const OCA_BUNDLE = 'oca_bundle';
/** Bytes of a bundle: an offer goes through mediators and mailboxes. */
const MAX_BYTES = 128 << 10;
const MAX_OVERLAYS = 200;
const MAX_LANGUAGES = 40;
/** Looks that a wallet keeps of those that came: any peer may send one for each definition of a ledger. */
const MAX_KEPT = 200;
const PAGE = 20;
const SUPPLEMENT = 'oca-bundle';

/** The id of a credential definition's bundle: it has one. */
export const ocaBundleId = (credDefId: string): string => createHash('sha256').update(credDefId).digest('hex').slice(0, 32);

const Anything = Type.Unsafe<unknown>(Type.Object({}, { type: undefined }));

/** A bundle: its capture base, and overlays of whatever types. */
export const OcaBundle = Type.Object({
  capture_base: Type.Object({ type: Type.String({ pattern: '^spec/capture_base/[0-9.]{1,10}$' }), attributes: Members(Anything) }),
  overlays: Type.Array(Type.Object({ type: Type.String({ maxLength: 200 }) }), { maxItems: MAX_OVERLAYS }),
});
const Bundle = validator(OcaBundle);

/** The parts of a bundle that cards show, each within bounds: whatever else a bundle has is not looked at. */
export interface Look {
  /** By language, as in `fr` or `fr-CA`. */
  readonly names: Readonly<Record<string, { readonly name?: string; readonly description?: string; readonly issuer?: string }>>;
  /** Labels of attributes, by language and name. */
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** As in `#1a56b0`. */
  readonly primary_background_color?: string;
  readonly secondary_background_color?: string;
  /** A data URL of a PNG or a JPEG. */
  readonly logo?: string;
  readonly primary_attribute?: string;
  readonly secondary_attribute?: string;
}

const LANGUAGE = /^[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}$/i;
const COLOUR = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;

const textIn = (value: unknown, longest: number): string | undefined =>
  // a cut through a pair of surrogates would leave half a character
  typeof value === 'string' && value.trim() !== '' ? value.slice(0, longest).replace(/[\ud800-\udbff]$/, '') : undefined;

/** A colour with two digits for each of its parts. */
function colourIn(value: unknown): string | undefined {
  if (typeof value !== 'string' || !COLOUR.test(value)) return undefined;
  const digits = value.slice(1).toLowerCase();
  return `#${digits.length === 3 ? [...digits].map((digit) => digit + digit).join('') : digits}`;
}

/** The look that a bundle gives. */
export function lookOf(bundle: JsonObject): Look {
  const { capture_base, overlays } = bundle as { capture_base: { attributes: JsonObject }; overlays: JsonObject[] };
  const known = new Set(Object.keys(capture_base.attributes));
  const ofType = (type: RegExp): JsonObject[] => overlays.filter((one) => type.test(String(one.type)));
  const byLanguage = <T>(type: RegExp, read: (overlay: JsonObject) => T): Record<string, T> =>
    Object.fromEntries(
      ofType(type)
        .filter(({ language }) => typeof language === 'string' && LANGUAGE.test(language))
        .slice(0, MAX_LANGUAGES)
        .map((one) => [one.language as string, read(one)]),
    );
  const branding = ofType(/^aries\/overlays\/branding\//)[0] ?? {};
  const attribute = (value: unknown): string | undefined => (typeof value === 'string' && known.has(value) ? value : undefined);
  const look: Look = {
    names: byLanguage(/^spec\/overlays\/meta\//, (one) => ({
      name: textIn(one.name, 100),
      description: textIn(one.description, 500),
      issuer: textIn(one.issuer ?? one.issuer_name, 100),
    })),
    labels: byLanguage(/^spec\/overlays\/label\//, ({ attribute_labels: labels }) =>
      Object.fromEntries(
        Object.entries(typeof labels === 'object' && labels !== null ? labels : {}).flatMap(([name, label]) => {
          const text = known.has(name) ? textIn(label, 100) : undefined;
          return text === undefined ? [] : [[name, text]];
        }),
      ),
    ),
    primary_background_color: colourIn(branding.primary_background_color),
    secondary_background_color: colourIn(branding.secondary_background_color),
    logo: pictureIn(branding.logo),
    primary_attribute: attribute(branding.primary_attribute),
    secondary_attribute: attribute(branding.secondary_attribute),
  };
  return JSON.parse(JSON.stringify(look)) as Look;
}

/** Why a bundle is none of a credential definition; undefined where it is. @param given - an object, or a list of one as in a bundle's file */
export function ocaFault(given: unknown, definition: JsonObject): string | undefined {
  if (!Bundle.check(given)) return 'the OCA bundle is not one object with capture_base and overlays';
  if (Buffer.byteLength(JSON.stringify(given)) > MAX_BYTES) return `the OCA bundle is larger than ${MAX_BYTES >> 10} KiB`;
  const { r: keys = {} } = ((definition.value as JsonObject | undefined)?.primary ?? {}) as JsonObject;
  const signed = new Set(Object.keys(keys as JsonObject).map(canonicalName));
  const other = Object.keys(given.capture_base.attributes).find((name) => !signed.has(canonicalName(name)));
  return other === undefined ? undefined : `the credential definition has no attribute ${JSON.stringify(other.slice(0, 64))}`;
}

/** The one bundle of a file, which has it by itself or in a list. */
export const bundleIn = (given: unknown): unknown => (Array.isArray(given) && given.length === 1 ? given[0] : given);

/** The bundle of a credential definition of this wallet, signed by the key that its issuer has now; undefined where it has none. */
export async function ocaSupplement(ctx: WorkContext, credDefId: string): Promise<Attachment | undefined> {
  const [[row] = []] = await ctx.store.load(ctx.tenant, [{ category: OCA_BUNDLE, id: ocaBundleId(credDefId) }]);
  if (row?.role !== 'issuer') return undefined;
  const { issuer_id, bundle } = row.value as { issuer_id: string; bundle: JsonObject };
  const [[did] = []] = await ctx.store.load(ctx.tenant, [{ category: 'did', tag: 'did', equals: issuer_id }]);
  const verkey = did?.value.verkey as string | undefined;
  const key = verkey === undefined ? undefined : await ctx.store.key(ctx.tenant, verkey);
  // without the DID nobody would take it for the issuer's
  if (verkey === undefined || !key) return undefined;
  // of this definition alone, and in the place of older ones: whoever has an offer could send its bundle with another
  const claims = { cred_def_id: credDefId, iat: row.updated / 1000 };
  return signedAttachment(Buffer.from(JSON.stringify(bundle)), { verkey, secretKey: key.secret }, SUPPLEMENT, undefined, claims);
}

/** The members of a message that name supplements. */
export const supplementsOf = (attachments: readonly Attachment[]): JsonObject[] =>
  attachments.map(({ id }) => ({ type: SUPPLEMENT, ref: id! }));

/** The work of looking at the bundle that an offer brings; undefined where it brings none. */
export function ocaOrder({ body, attachments }: Incoming, credDefId: string | undefined, result: string): WorkOrder | undefined {
  const named = Array.isArray(body.supplements) ? (body.supplements as (JsonObject | null)[]) : [];
  const ref = named.find((one) => one?.type === SUPPLEMENT)?.ref;
  const found = typeof ref === 'string' ? attachments['']?.find(({ id }) => id === ref) : undefined;
  const base64 = found?.data.base64;
  if (credDefId === undefined || !found || base64 === undefined || base64.length > MAX_BYTES * 1.4) return undefined;
  return { op: 'oca-bundle/verify', input: { cred_def_id: credDefId, attachment: writeAttachment(found) as JsonObject }, result };
}

/** A bundle that is its issuer's. */
export interface VerifiedBundle {
  readonly cred_def_id: string;
  readonly issuer_id: string;
  readonly bundle: JsonObject;
  /** When its issuer gave it, in seconds, as they have signed. */
  readonly signed_at?: number;
}

/** The look that makes room for one of another definition: where a wallet has as many as it keeps, the oldest of whose credentials it holds none. */
async function makesRoom({ store, tenant }: WorkContext, credDefId: string): Promise<{ room: boolean; gone?: string }> {
  const [[known] = []] = await store.load(tenant, [{ category: OCA_BUNDLE, id: ocaBundleId(credDefId) }]);
  if (known) return { room: true };
  for (let cursor: string | undefined; ; ) {
    const { rows, total, next } = await store.find(tenant, OCA_BUNDLE, { role: 'holder', limit: PAGE, cursor });
    if (total < MAX_KEPT) return { room: true };
    for (const { id, value } of rows) {
      const held = await store.find(tenant, 'credential', { tags: { cred_def_id: String(value.cred_def_id) }, limit: 1 });
      if (held.total === 0) return { room: true, gone: id };
    }
    if (next === undefined) return { room: false };
    cursor = next;
  }
}

/** The slow work of looks: whether an issuer has signed one. A bundle that is wrong is none, and no error. */
export const ocaWork: WorkOps = {
  'oca-bundle/verify': async (
    ctx,
    input: { cred_def_id: string; attachment: JsonObject },
  ): Promise<{ found?: VerifiedBundle; gone?: string }> => {
    try {
      const { payload, signers, heads } = verifySigned(readAttachment(input.attachment));
      const bundle = bundleIn(parseJson(payload, { maxBytes: MAX_BYTES }));
      const definition = await readDefinition(ctx, input.cred_def_id);
      if (ocaFault(bundle, checkedAs<JsonObject>(definition)) !== undefined) return {};
      const { document, metadata } = await ctx.resolver.resolve(definition.issuerId);
      if (metadata.deactivated) return {};
      const own = verkeysFor(document, 'assertionMethod');
      const head = heads[signers.findIndex((one) => own.includes(one))];
      if (!head || (head.cred_def_id ?? input.cred_def_id) !== input.cred_def_id) return {};
      const { room, gone } = await makesRoom(ctx, input.cred_def_id);
      if (!room) return {};
      const signed_at = Number.isFinite(head.iat) ? (head.iat as number) : undefined;
      const found = { cred_def_id: input.cred_def_id, issuer_id: definition.issuerId, bundle: bundle as JsonObject, signed_at };
      return { found, gone };
    } catch (error) {
      // a ledger that is away comes back
      if (asAppError(error).row.retry) throw error;
      return {};
    }
  },
};
