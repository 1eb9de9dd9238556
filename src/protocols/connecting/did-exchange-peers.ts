import { verifySignedBy } from '../../didcomm/attachments.ts';
import { contactOf, resolvedContact } from '../../dids/contact.ts';
import { resolvePeer, shortPeerDid } from '../../dids/did-peer.ts';
import { attachedContact, bareDid } from '../../dids/unqualified.ts';
import { AppError, errorRow } from '../../errors.ts';
import type { Effects } from '../../kernel/effects.ts';
import { attachedObject, readMessage } from '../../kernel/message.ts';
import type { Incoming } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { ResolvedDid } from '../../ports/ledger.ts';
import type { Peer } from '../../records/connection.ts';

/** The other side of a did-exchange, by its messages and its DID's document. */

/** The facts of a request or a response that are needed once the document of its DID is there. */
export interface Asked {
  readonly sender: string;
  /** Our key that it was sealed for, where it is answered under that: also another key of the DID that invites than the invitation was made with. */
  readonly recipient?: string;
  readonly thid: string;
  readonly pthid?: string;
  readonly minor: number;
  readonly label?: string;
  /** The document was read past every cache. */
  readonly fresh?: true;
  /** Handed in by a controller, without an envelope: only the DID's own keys open the answer. */
  readonly unsealed?: boolean;
}

export interface Resolved extends ResolvedDid {
  readonly about: Asked;
}

export const resolved = (did: string, result: string, about: Asked): Effects => ({
  work: [{ op: 'dids/resolve', input: { did, ...(about.fresh && { fresh: true }), about: { ...about } }, result }],
});

/**
 * The DID is looked up once more, past every cache, where its document does not list the key that sealed the message: its keys may have been rotated since.
 * @param known a key that may seal without being listed
 */
export const again = ({ document, metadata, about }: Resolved, result: string, known?: string): Effects | undefined => {
  if (about.fresh || about.unsealed || metadata.deactivated || about.sender === known) return undefined;
  if (contactOf(document).recipientKeys.includes(about.sender)) return undefined;
  return resolved(document.id, result, { ...about, fresh: true });
};

export const remotePeer = (output: Resolved): Peer => ({ did: output.document.id, ...resolvedContact(output) });

/** The problem report for a request whose invitation is not open, whatever the reason: used, deleted, of another key, or none at all. */
export function refused(peer: Peer, { sender, recipient, thid, pthid, minor }: Asked): Effects {
  if (!peer.recipientKeys.includes(sender)) return {};
  const { report: code, peer: en } = errorRow('invitation-closed');
  const { recipientKeys, routingKeys, endpoint } = peer;
  const to = { recipientKeys, routingKeys, endpoint, sender: recipient };
  return { send: [{ type: 'problem_report', thid, pthid, minor, body: { description: { code, en } }, to, back: true }] };
}

/** A message as a controller hands it in. @throws AppError `bad-request` */
export function readGiven(body: JsonObject): Incoming {
  try {
    return readMessage(body);
  } catch (error) {
    throw new AppError('bad-request', 'The request is not a message: its decorators cannot be read', { cause: error });
  }
}

/** The sender of a request that a controller hands in: an attached document is signed by a key of its own. */
export function unsealedPeer(message: Incoming): Peer {
  const attached = message.attachments.did_doc?.[0];
  const did = message.body.did as string;
  return peerOf(message, attached && attachedContact(attachedObject(attached, 'DID document'), did).recipientKeys[0]);
}

/**
 * The sender's DID and contact, from an attached document or from the DID itself. An attached document is signed by `signer`. A response must prove that
 * its DID is the inviter's, so one without a document must sign the DID itself (`did_rotate`).
 */
export function peerOf(message: Incoming, signer: string | undefined, proven = false): Peer {
  checkProof(message, signer, proven);
  const did = message.body.did as string;
  const attached = message.attachments.did_doc?.[0];
  // a did:peer:4 or 2 holds its own document; the document of another DID is attached
  if (attached && !/^did:peer:[24]/.test(did)) {
    return { did: bareDid(did), ...attachedContact(attachedObject(attached, 'DID document'), did) };
  }
  const document = resolvePeer(did);
  return { did: shortPeerDid(did), ...contactOf(document) };
}

/**
 * An attachment must be signed by `signer` and be about the DID that the message names: a document of it, or the DID itself (`did_rotate`). A signature over
 * anything else vouches for nothing. With `proven`, one of the two must be there.
 */
export function checkProof(message: Incoming, signer: string | undefined, proven: boolean): void {
  const did = message.body.did as string;
  const document = message.attachments.did_doc?.[0];
  const rotation = proven ? message.attachments.did_rotate?.[0] : undefined;
  if (proven && !document && !rotation)
    throw new AppError('message-invalid', 'neither a document nor a rotation is signed by the invitation key');
  for (const attachment of [document, rotation]) {
    if (!attachment) continue;
    let signed: Buffer;
    try {
      signed = verifySignedBy(attachment, signer ?? '');
    } catch (error) {
      throw new AppError('message-invalid', 'the signature of what is attached is missing or by another key', { cause: error });
    }
    const about = attachment === rotation ? signed.toString('utf8') === did : isOf(attachedObject(attachment, 'DID document'), did);
    if (!about) throw new AppError('message-invalid', 'another DID than the named one is signed');
  }
}

/** Whether a document names this DID as its subject, in any of its forms. */
function isOf({ id, alsoKnownAs }: JsonObject, did: string): boolean {
  const plain = (name: unknown): unknown => (typeof name === 'string' ? shortPeerDid(bareDid(name)) : undefined);
  return [id, ...(Array.isArray(alsoKnownAs) ? alsoKnownAs : [])].some((name) => plain(name) === plain(did));
}
