import { toBase58, verkeyBytes, verkeyToDidKey } from '../didcomm/encoding.ts';
import type { DidDocument } from '../ports/ledger.ts';
import { ed25519ToX25519, toMultikey } from './did-key.ts';
import { createPeer2, QUEUE_ENDPOINT } from './did-peer.ts';

/** RFC 0360: keys in documents are did:key references; ACA-Py and Credo write them with the fragment. */
export function routingReference(verkey: string): string {
  const did = verkey.startsWith('did:key:') ? verkey : verkeyToDidKey(verkey);
  return did.includes('#') ? did : `${did}#${did.slice('did:key:'.length)}`;
}

/** A key of ours, and where mail for it goes: nowhere, where there is no endpoint. */
export interface OwnEndpoint {
  readonly verkey: string;
  readonly endpoint?: string;
  /** Other endpoints under the same routing keys. */
  readonly more?: readonly string[];
  readonly routingKeys?: readonly string[];
}

/** DIDComm v1 services, the most preferred first. */
const servicesOf = ({ endpoint, more = [], routingKeys = [] }: OwnEndpoint, key: string) =>
  [endpoint || QUEUE_ENDPOINT, ...more].map((serviceEndpoint, i) => ({
    id: `#didcomm-${i}`,
    type: 'did-communication',
    priority: i,
    recipientKeys: [key],
    routingKeys: routingKeys.map(routingReference),
    serviceEndpoint,
    accept: ['didcomm/aip2;env=rfc19', 'didcomm/aip1'],
  }));

/**
 * The input document of our did:peer:4 for a connection (RFC 0023): give it to `createPeer4`. Its key forms are the oldest that Ed25519 has, since peers of every
 * age must read it. Without an endpoint the service's address is the queue: mail waits for our next session.
 */
export function peer4Document(own: OwnEndpoint): Record<string, unknown> {
  const agreement = ed25519ToX25519(verkeyBytes(own.verkey));
  return {
    '@context': [
      'https://www.w3.org/ns/did/v1',
      'https://w3id.org/security/suites/ed25519-2018/v1',
      'https://w3id.org/security/suites/x25519-2019/v1',
    ],
    verificationMethod: [
      { id: '#key-0', type: 'Ed25519VerificationKey2018', publicKeyBase58: own.verkey },
      { id: '#key-1', type: 'X25519KeyAgreementKey2019', publicKeyBase58: toBase58(agreement) },
    ],
    authentication: ['#key-0'],
    assertionMethod: ['#key-0'],
    keyAgreement: ['#key-1'],
    service: servicesOf(own, '#key-0'),
  };
}

/** A key of a document on the ledger: its verification method is `#key-<number>`, and keeps that name. */
export interface NumberedKey {
  readonly verkey: string;
  readonly number: number;
  /** It is not in the document any more. */
  readonly removed?: true;
}

/**
 * The document of a did:algo: an Ed25519 key for authentication and assertion, its X25519 form for key agreement, and a DIDComm v1 service where there is an
 * endpoint. Former keys stand under assertionMethod alone, after the present one: what they signed still verifies. References are relative (DID Core section
 * 3.2.2): every byte on the ledger is paid for. No `controller` at the top, as the method asks.
 */
export function algoDocument(own: {
  did: string;
  verkey: string;
  /** The number of the present key; 1 by default. */
  number?: number;
  former?: readonly NumberedKey[];
  endpoint?: string;
  routingKeys?: readonly string[];
}): DidDocument {
  const { verkey, number = 1, former = [] } = own;
  const method = (id: string, publicKeyMultibase: string) => ({ id, type: 'Multikey', controller: own.did, publicKeyMultibase });
  const keys = [{ verkey, number }, ...former.filter(({ removed }) => !removed)];
  const document: DidDocument = {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: own.did,
    verificationMethod: [
      ...keys.map((key) => method(`#key-${key.number}`, toMultikey({ type: 'ed25519', bytes: verkeyBytes(key.verkey) }))),
      method(`#key-agreement-${number}`, toMultikey({ type: 'x25519', bytes: ed25519ToX25519(verkeyBytes(verkey)) })),
    ],
    authentication: [`#key-${number}`],
    assertionMethod: keys.map((key) => `#key-${key.number}`),
    keyAgreement: [`#key-agreement-${number}`],
  };
  if (own.endpoint) {
    document.service = [
      {
        id: '#did-communication',
        type: 'did-communication',
        priority: 0,
        recipientKeys: [`#key-${number}`],
        routingKeys: (own.routingKeys ?? []).map(routingReference),
        serviceEndpoint: own.endpoint,
        accept: ['didcomm/aip2;env=rfc19'],
      },
    ];
  }
  return document;
}

/** Our did:peer:2 with one key and a DIDComm v1 service, as invitations use it. */
export function ownPeer2(own: OwnEndpoint): string {
  const bytes = verkeyBytes(own.verkey);
  return createPeer2(
    [
      { purpose: 'verification', key: { type: 'ed25519', bytes } },
      { purpose: 'agreement', key: { type: 'x25519', bytes: ed25519ToX25519(bytes) } },
    ],
    servicesOf(own, '#key-1'),
  );
}
