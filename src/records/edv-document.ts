import { defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Store } from '../ports/store.ts';

/** A name and a value that only the owner's HMAC key connects with clear text. */
export interface BlindedAttribute {
  readonly name: string;
  readonly value: string;
  readonly unique?: boolean;
}

export interface IndexEntry {
  readonly hmac: { readonly id: string; readonly type: string };
  readonly sequence: number;
  readonly attributes: readonly BlindedAttribute[];
}

/** A document as its owner encrypted it. */
export interface EncryptedDocument {
  readonly id: string;
  readonly sequence: number;
  readonly indexed?: readonly IndexEntry[];
  readonly jwe: JsonObject & { readonly recipients: readonly { readonly header: { readonly kid: string } }[] };
  readonly stream?: { readonly sequence?: number; readonly chunks?: number };
}

export interface EdvDocumentValue {
  [member: string]: unknown;
  vault: string;
  document: EncryptedDocument;
  /** In bytes, as it counts for the quota. */
  size: number;
}

/** The place of a document: its owner's ids are unique in a vault alone. */
export const documentId = (vault: string, id: string): string => `${vault}.${id}`;

/** The names of search tags: each names vault, HMAC key and attribute, so that several attributes are one search. */
export const attributeTag = (vault: string, hmac: string, name: string): string => `= ${vault} ${hmac} ${name}`;
export const presenceTag = (vault: string, hmac: string, name: string): string => `? ${vault} ${hmac} ${name}`;
export const uniqueTag = (vault: string, hmac: string, name: string): string => `! ${vault} ${hmac} ${name}`;

/** The DID of a key that a document is encrypted to. */
export const recipientOf = (kid: string): string => kid.split('#')[0]!;

export const edvDocument = defineRecord<EdvDocumentValue>({
  category: 'edv_document',
  idField: 'document_id',
  states: ['stored'],
  view: ({ value: { document } }) => ({ id: document.id, sequence: document.sequence }),
  tags({ vault, document: { indexed = [], jwe } }) {
    const tags: Record<string, string | string[]> = { vault };
    for (const { hmac, attributes } of indexed)
      for (const { name, value, unique } of attributes) {
        for (const tag of [attributeTag(vault, hmac.id, name), ...(unique ? [uniqueTag(vault, hmac.id, name)] : [])])
          tags[tag] = [...(tags[tag] ?? []), value];
        tags[presenceTag(vault, hmac.id, name)] = '1';
      }
    tags[`recipient ${vault}`] = [...new Set(jwe.recipients.map(({ header }) => recipientOf(header.kid)))];
    return tags;
  },
});

/**
 * Documents of a vault that are still encrypted to keys of controllers whose right has ended, by controller: for their owner to encrypt again.
 * @param find in the vault's tenant
 */
export async function pendingRewrap(
  find: (category: string, query: Parameters<Store['find']>[2]) => ReturnType<Store['find']>,
  vault: { readonly id: string; readonly value: { readonly ended?: readonly string[] } },
): Promise<{ pending_rewrap?: { controller: string; documents: number }[] }> {
  const pending: { controller: string; documents: number }[] = [];
  for (const controller of vault.value.ended ?? []) {
    const { total } = await find(edvDocument.category, { tags: { [`recipient ${vault.id}`]: controller }, limit: 1 });
    if (total > 0) pending.push({ controller, documents: total });
  }
  return pending.length > 0 ? { pending_rewrap: pending } : {};
}
