import { type Attachment, attachmentJson, base64Attachment, readAttachment } from '../didcomm/attachments.ts';
import { AppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Formats } from './format.ts';
import { attachedValue, composeMessage } from './message.ts';
import type { Incoming } from './protocol.ts';
import Type from './type.ts';

/** Where the messages of RFC 0453 and RFC 0454 hold what their `formats` name. */
const FIELDS = ['filters', 'offers', 'requests', 'credentials', 'proposals', 'request_presentations', 'presentations'] as const;
type Field = (typeof FIELDS)[number];
const ISSUING: readonly string[] = FIELDS.slice(0, 4);

/** The format of an attachment, where it is one of those that a message with this field may have. */
function nameOf(formats: Formats, id: unknown, field: string): string | undefined {
  const format = formats.ofId(id);
  return (ISSUING.includes(field) ? format?.issuance : format?.presentation) && format!.name;
}

/** Attachments by the name of their format. */
export type ByFormat = Readonly<Record<string, JsonObject | undefined>>;

/** The attachment of each registered format in a stored message, decoded. Damaged ones are left out: they were refused when they came. */
export function attachmentsByFormat(formats: Formats, message: JsonObject): Record<string, JsonObject> {
  const out: Record<string, JsonObject> = {};
  const field = FIELDS.find((name) => Object.hasOwn(message, `${name}~attach`));
  if (!field) return out;
  // one that stands alone, without its list, is read like a list of one when it comes
  const attached = [message[`${field}~attach`]].flat() as Json[];
  for (const { attach_id, format } of (message.formats ?? []) as { attach_id: string; format: string }[]) {
    const name = nameOf(formats, format, field);
    const wire = attached.find((one) => (one as JsonObject | null)?.['@id'] === attach_id);
    if (!name || wire === undefined) continue;
    try {
      out[name] = attachmentJson(readAttachment(wire)) as JsonObject;
    } catch {}
  }
  return out;
}

/** ACA-Py's `by_format`: the attachments of all messages of an exchange by message and format. */
export function byFormat(formats: Formats, value: Readonly<Record<string, unknown>>, messages: readonly string[]): JsonObject {
  const out: JsonObject = {};
  for (const name of messages) {
    const message = value[name] as JsonObject | undefined;
    if (message) out[name] = attachmentsByFormat(formats, message);
  }
  return out;
}

/** `formats` of a message as it comes (RFC 0453, RFC 0454). */
export const FormatsSchema = Type.Array(
  Type.Object({ attach_id: Type.String({ maxLength: 256 }), format: Type.String({ maxLength: 256 }) }),
  { minItems: 1, maxItems: 20 },
);

/**
 * The attachments of a received message, by format: each attachment has one format and each format one attachment, so that nothing is kept, and later shown,
 * that nobody looks at. With `asked`, only formats of that earlier message may be there.
 * @throws AppError `message-invalid`, also where no format is registered
 */
export function readFormatted(formats: Formats, message: Incoming, field: Field, asked?: JsonObject): ByFormat {
  const refuse = (what: string): never => {
    throw new AppError('message-invalid', what);
  };
  if (FIELDS.some((name) => name !== field && Object.hasOwn(message.attachments, name))) refuse(`attachments beside ${field}`);
  const attached = message.attachments[field] ?? [];
  const entries = message.body.formats as { attach_id: string; format: string }[];
  if (new Set(entries.map((one) => one.attach_id)).size !== entries.length || entries.length !== attached.length)
    refuse('formats and attachments are not one to one');
  const allowed = asked && Object.keys(attachmentsByFormat(formats, asked));
  const out: Record<string, JsonObject> = {};
  for (const { attach_id, format } of entries) {
    const found = attached.filter(({ id }) => id === attach_id);
    if (found.length !== 1) refuse('formats and attachments are not one to one');
    const name = nameOf(formats, format, field);
    if (allowed && (name === undefined || !allowed.includes(name))) refuse('an attachment has a format that was not asked for');
    if (name === undefined) continue;
    if (Object.hasOwn(out, name)) refuse('two attachments have the same format');
    out[name] = attachedValue(found[0], field);
  }
  if (Object.keys(out).length === 0) refuse('no attachment has a format that is supported');
  return out;
}

/** The formats that every one of the messages has, in the order of registration. @throws AppError `bad-request` where there is none */
export function sharedFormats({ names }: Formats, ...attached: ByFormat[]): [string, ...string[]] {
  const [first, ...rest] = names.filter((name) => attached.every((one) => one[name]));
  if (!first) throw new AppError('bad-request', 'The messages have no supported format in common');
  return [first, ...rest];
}

/** An attachment of a message: the name of its format, the identifier of that, and the object. */
export interface FormatEntry {
  readonly name: string;
  readonly format: string;
  readonly value: JsonObject;
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
    entries: readonly FormatEntry[];
    /** Attachments of the message itself, which its body names. */
    beside?: readonly Attachment[];
    pleaseAck?: boolean;
  },
): JsonObject {
  const { field, entries, beside = [], body, pthid, ...rest } = parts;
  return composeMessage(protocol, {
    ...rest,
    pthid: pthid as string | undefined,
    body: { ...body, formats: entries.map(({ name, format }) => ({ attach_id: name, format })) },
    attachments: {
      [field]: entries.map(({ name, value }) => base64Attachment(value, name)),
      ...(beside.length > 0 && { '': beside }),
    },
  });
}
