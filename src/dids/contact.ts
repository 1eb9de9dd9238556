import { AppError } from '../errors.ts';
import type { DidDocument, ResolvedDid } from '../ports/ledger.ts';
import { checkDidDocument, didcommServices, writable } from './did-doc.ts';
import { QUEUE_ENDPOINT } from './did-peer.ts';

/** How to write to the subject of a DID: its keys in base58, the keys to wrap for, and the address where it has one. */
export interface Contact {
  readonly recipientKeys: readonly string[];
  readonly routingKeys: readonly string[];
  readonly endpoint?: string;
  /** All addresses under the same keys, the most preferred first; only where there are several. */
  readonly endpoints?: readonly string[];
}

/** Whether the document of a DID is known only to a ledger or a web server: it is ordered as work, never looked up in a step. */
export const isRemote = (did: string): boolean => /^did:(algo|web):/.test(did);

/** How to write to the subject of a DID that was resolved. @throws AppError `did-invalid` where it was deactivated, or has no service */
export function resolvedContact({ document, metadata }: ResolvedDid): Contact {
  if (metadata.deactivated) throw new AppError('did-invalid', 'The DID was deactivated');
  return contactOf(document);
}

/** The most preferred DIDComm v1 service of a document that can be written to; else the most preferred. @throws AppError `did-invalid` where there is none */
export function contactOf(document: DidDocument): Contact {
  const services = didcommServices(checkDidDocument(document));
  const service = writable(services, ({ serviceEndpoint }) => serviceEndpoint);
  if (!service || service.recipientKeys.length === 0) throw new AppError('did-invalid', 'The DID document has no DIDComm service');
  const { recipientKeys, routingKeys, serviceEndpoint } = service;
  const keys = JSON.stringify([recipientKeys, routingKeys]);
  const same = services.filter((one) => JSON.stringify([one.recipientKeys, one.routingKeys]) === keys);
  const addresses = same.map((one) => one.serviceEndpoint).filter((one) => one !== QUEUE_ENDPOINT);
  const endpoints = [...new Set(serviceEndpoint === QUEUE_ENDPOINT ? addresses : [serviceEndpoint, ...addresses])];
  return {
    recipientKeys,
    routingKeys,
    endpoint: serviceEndpoint === QUEUE_ENDPOINT ? undefined : serviceEndpoint,
    ...(endpoints.length > 1 ? { endpoints } : {}),
  };
}
