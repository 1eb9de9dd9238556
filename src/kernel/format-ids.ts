import { attachmentJson, readAttachment } from '../didcomm/attachments.ts';
import type { Json, JsonObject } from '../ports/json.ts';

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

/** The attachment of each known format in a stored message, decoded. Damaged ones are left out: they were refused when they came. */
export function attachmentsByFormat(message: JsonObject): Partial<Record<FormatName, JsonObject>> {
  const out: Partial<Record<FormatName, JsonObject>> = {};
  const field = Object.keys(message).find((name) => name.endsWith('~attach'));
  const attached = field ? (message[field] as Json[]) : [];
  for (const { attach_id, format } of (message.formats ?? []) as { attach_id: string; format: string }[]) {
    const name = formatName(format);
    const wire = attached.find((one) => (one as JsonObject)['@id'] === attach_id);
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

/** A message's `formats` and attachments, from values by format. */
export function formatAttachments(entries: readonly { id: string; format: string; value: unknown }[]): {
  formats: JsonObject[];
  attach: { id: string; mimeType: string; data: { base64: string } }[];
} {
  return {
    formats: entries.map(({ id, format }) => ({ attach_id: id, format })),
    attach: entries.map(({ id, value }) => ({
      id,
      mimeType: 'application/json',
      data: { base64: Buffer.from(JSON.stringify(value)).toString('base64') },
    })),
  };
}
