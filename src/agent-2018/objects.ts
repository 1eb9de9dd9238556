import { AppError } from '../errors.ts';
import { anoncreds } from '../formats/anoncreds.ts';
import { indy } from '../formats/indy.ts';
import { createFormats } from '../kernel/format.ts';
import { attachmentsByFormat, type FormatEntry } from '../kernel/format-attachments.ts';
import type { JsonObject } from '../ports/json.ts';

/** AnonCreds objects between messages of DIDComm, in either format, and those of the 2018 Agent Protocol, which have none. */

const FORMATS = createFormats([anoncreds, indy]);

/** The AnonCreds object that a message of DIDComm carries, and its format; undefined for another format. */
export function carriedBy(message: JsonObject): { readonly name: string; readonly object: JsonObject } | undefined {
  const found = attachmentsByFormat(FORMATS, message);
  const name = FORMATS.names.find((one) => found[one]);
  return name === undefined ? undefined : { name, object: found[name]! };
}

/** The AnonCreds object that a message of DIDComm carries. @throws AppError `bad-request` where it has another format */
export function objectOf(message: JsonObject): JsonObject {
  const carried = carriedBy(message);
  if (!carried) throw new AppError('bad-request', 'The 2018 Agent Protocol carries AnonCreds objects only');
  return carried.object;
}

/** An object as the attachment of a message of DIDComm. */
export function entryOf(name: string, message: 'offer' | 'request' | 'issue' | 'proof-request' | 'proof', value: JsonObject): FormatEntry {
  const { issuance, presentation } = FORMATS.named(name)!;
  const ids = { ...issuance!.ids, 'proof-request': presentation!.ids.request, proof: presentation!.ids.proof };
  return { name, format: ids[message], value };
}
