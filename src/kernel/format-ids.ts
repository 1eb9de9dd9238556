import Type from 'typebox';
import { attachmentJson, base64Attachment, readAttachment } from '../didcomm/attachments.ts';
import { AppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import { attachedValue, composeMessage } from './message.ts';
import type { Incoming } from './protocol.ts';

/** The credential formats of issue-credential 2.0 and present-proof 2.0 (RFC 0592, RFC 0771), under ACA-Py's short names. */
export const CREDENTIAL_FORMATS = {
  anoncreds: {
    proposal: 'anoncreds/credential-filter@v1.0',
    offer: 'anoncreds/credential-offer@v1.0',
    request: 'anoncreds/credential-request@v1.0',
    issue: 'anoncreds/credential@v1.0',
  },
  indy: {
    proposal: 'hlindy/cred-filter@v2.0',
    offer: 'hlindy/cred-abstract@v2.0',
    request: 'hlindy/cred-req@v2.0',
    issue: 'hlindy/cred@v2.0',
  },
} as const;

export const PROOF_FORMATS = {
  anoncreds: { request: 'anoncreds/proof-request@v1.0', proof: 'anoncreds/proof@v1.0' },
  indy: { request: 'hlindy/proof-req@v2.0', proof: 'hlindy/proof@v2.0' },
} as const;

export type FormatName = keyof typeof CREDENTIAL_FORMATS;
export const FORMAT_NAMES = Object.keys(CREDENTIAL_FORMATS) as FormatName[];

const API_NAMES: ReadonlyMap<string, FormatName> = new Map(
  FORMAT_NAMES.flatMap((name) =>
    [...Object.values(CREDENTIAL_FORMATS[name]), ...Object.values(PROOF_FORMATS[name])].map((id): [string, FormatName] => [id, name]),
  ),
);

/** ACA-Py's short name of a format identifier, where we know it. */
export const formatName = (id: unknown): FormatName | undefined => (typeof id === 'string' ? API_NAMES.get(id) : undefined);

/** Where the messages of RFC 0453 and RFC 0454 hold what their `formats` name. */
const FIELDS = ['filters', 'offers', 'requests', 'credentials', 'proposals', 'request_presentations', 'presentations'] as const;
type Field = (typeof FIELDS)[number];

export type ByFormat = Partial<Record<FormatName, JsonObject>>;

/** The attachment of each known format in a stored message, decoded. Damaged ones are left out: they were refused when they came. */
export function attachmentsByFormat(message: JsonObject): ByFormat {
  const out: ByFormat = {};
  const field = FIELDS.map((name) => `${name}~attach`).find((name) => Object.hasOwn(message, name));
  // one that stands alone, without its list, is read like a list of one when it comes
  const attached = field ? ([message[field]].flat() as Json[]) : [];
  for (const { attach_id, format } of (message.formats ?? []) as { attach_id: string; format: string }[]) {
    const name = formatName(format);
    const wire = attached.find((one) => (one as JsonObject | null)?.['@id'] === attach_id);
    if (!name || wire === undefined) continue;
    try {
      out[name] = attachmentJson(readAttachment(wire)) as JsonObject;
    } catch {}
  }
  return out;
}

/** ACA-Py's `by_format`: the attachments of all messages of an exchange by message and format. */
export function byFormat(value: Readonly<Record<string, unknown>>, messages: readonly string[]): JsonObject {
  const out: JsonObject = {};
  for (const name of messages) {
    const message = value[name] as JsonObject | undefined;
    if (message) out[name] = attachmentsByFormat(message) as JsonObject;
  }
  return out;
}

/** `formats` of a message as it comes (RFC 0453, RFC 0454). */
export const FormatsSchema = Type.Array(
  Type.Object({ attach_id: Type.String({ maxLength: 256 }), format: Type.String({ maxLength: 256 }) }),
  { minItems: 1, maxItems: 20 },
);

/**
 * What a message that comes in attaches, by format: each attachment has one format and each format one attachment, so that nothing is kept, and later shown,
 * that nobody looks at. With `asked`, only formats of that earlier message may be there.
 * @throws AppError `message-invalid`, also where no format is known
 */
export function readFormatted(message: Incoming, field: Field, asked?: JsonObject): ByFormat {
  const refuse = (what: string): never => {
    throw new AppError('message-invalid', what);
  };
  if (FIELDS.some((name) => name !== field && Object.hasOwn(message.attachments, name))) refuse(`attachments beside ${field}`);
  const attached = message.attachments[field] ?? [];
  const formats = message.body.formats as { attach_id: string; format: string }[];
  if (new Set(formats.map((one) => one.attach_id)).size !== formats.length || formats.length !== attached.length)
    refuse('formats and attachments are not one to one');
  const allowed = asked && Object.keys(attachmentsByFormat(asked));
  const out: ByFormat = {};
  for (const { attach_id, format } of formats) {
    const found = attached.filter(({ id }) => id === attach_id);
    if (found.length !== 1) refuse('formats and attachments are not one to one');
    const name = formatName(format);
    if (allowed && (name === undefined || !allowed.includes(name))) refuse('an attachment has a format that was not asked for');
    if (name === undefined) continue;
    if (Object.hasOwn(out, name)) refuse('two attachments have the same format');
    out[name] = attachedValue(found[0], field);
  }
  if (Object.keys(out).length === 0) refuse('no attachment has a format that is supported');
  return out;
}

/** The formats that every one of the messages has, ours first. @throws AppError `bad-request` where there is none */
export function sharedFormats(...attached: ByFormat[]): [FormatName, ...FormatName[]] {
  const [first, ...rest] = FORMAT_NAMES.filter((name) => attached.every((one) => one[name]));
  if (!first) throw new AppError('bad-request', 'The messages have no supported format in common');
  return [first, ...rest];
}

/** A message with an attachment per format: `formats` names them, `field` holds them in base64. */
export function composeFormatted(
  protocol: { readonly uris: readonly string[] },
  parts: {
    type: string;
    id: string;
    thid?: string;
    pthid?: unknown;
    body?: Record<string, unknown>;
    field: string;
    entries: readonly { name: FormatName; format: string; value: unknown }[];
    pleaseAck?: boolean;
  },
): JsonObject {
  const { field, entries, body, pthid, ...rest } = parts;
  return composeMessage(protocol, {
    ...rest,
    pthid: pthid as string | undefined,
    body: { ...body, formats: entries.map(({ name, format }) => ({ attach_id: name, format })) },
    attachments: { [field]: entries.map(({ name, value }) => base64Attachment(value, name)) },
  });
}
