import { looksLikeVerkey, toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { AppError } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';
import { type Contact, contactOf } from './contact.ts';
import { checkDidDocument, isDid, methodKey } from './did-doc.ts';
import { isOwnDocument, QUEUE_ENDPOINT } from './did-peer.ts';
import type { OwnEndpoint } from './own-documents.ts';

/**
 * Pairwise DIDs from before did:peer (RFC 0160, RFC 0023 version 1.0): 16 bytes of the key in base58, without a method, and a document that travels with the
 * message. Peers write such a DID bare or as `did:sov`, in either place; it is one DID.
 */

const UNQUALIFIED = /^[1-9A-HJ-NP-Za-km-z]{21,22}$/;

/** The DID without `did:sov:`, as connections of these versions name it. */
export const bareDid = (did: string): string => did.replace(/^did:sov:(?=[1-9A-HJ-NP-Za-km-z]{21,22}$)/, '');

const qualified = (did: string): string => (UNQUALIFIED.test(did) ? `did:sov:${did}` : did);

/** Our pairwise DID of a key and the document that goes with it, in ACA-Py's shape; its routing keys in base58. */
export function unqualifiedDid(own: OwnEndpoint): {
  did: string;
  document: DidDocument;
} {
  const did = toBase58(verkeyBytes(own.verkey).subarray(0, 16));
  const id = `did:sov:${did}`;
  const key = `${id}#1`;
  return {
    did,
    document: {
      '@context': 'https://w3id.org/did/v1',
      id,
      publicKey: [{ id: key, type: 'Ed25519VerificationKey2018', controller: id, publicKeyBase58: own.verkey }],
      authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: key }],
      service: [own.endpoint || QUEUE_ENDPOINT, ...(own.more ?? [])].map((serviceEndpoint, i) => ({
        id: `${id};indy${i > 0 ? `-${i}` : ''}`,
        type: 'IndyAgent',
        priority: i,
        recipientKeys: [own.verkey],
        ...(own.routingKeys?.length ? { routingKeys: [...own.routingKeys] } : {}),
        serviceEndpoint,
      })),
    },
  };
}

/**
 * How to write to the subject of a document that came with a message, whatever its age: ids without a method, `authentication` that is no verification method,
 * no service at all (an agent that only fetches its mail).
 * @param did as the message names it; the document must be of the same one
 * @throws AppError `did-invalid`
 */
export function attachedContact(value: Readonly<Record<string, unknown>>, did: string): Contact {
  if (!isOwnDocument(did, value)) throw new AppError('did-invalid', 'The attached document is not the one that the DID was made of');
  const { authentication, ...rest } = value;
  const usable = Array.isArray(authentication)
    ? authentication.filter((item) => typeof item === 'string' || (typeof item === 'object' && item !== null && 'id' in item))
    : undefined;
  const id = typeof value.id === 'string' ? qualified(value.id) : value.id;
  const document = checkDidDocument({ ...rest, id, ...(usable ? { authentication: usable } : {}) });
  const named = qualified(did);
  if (!isDid(named)) throw new AppError('did-invalid', 'The message names no DID');
  const aliases = Array.isArray(document.alsoKnownAs) ? (document.alsoKnownAs as string[]) : [];
  if (document.id !== named && !aliases.includes(named)) throw new AppError('did-invalid', 'The attached document is of another DID');
  if (Array.isArray(document.service) && document.service.length > 0) {
    const contact = contactOf(document);
    return contact.endpoint ? contact : { ...contact, endpoint: undefined };
  }
  const methods = [document.verificationMethod, document.publicKey].flat().filter((item) => item !== undefined && item !== null);
  const recipientKeys = methods.flatMap((method) => {
    const key = methodKey(method as Record<string, unknown>);
    return key?.type === 'ed25519' ? [toBase58(key.bytes)] : [];
  });
  if (recipientKeys.length === 0 || !recipientKeys.every(looksLikeVerkey))
    throw new AppError('did-invalid', 'The attached document has no key');
  return { recipientKeys, routingKeys: [] };
}
