import { randomBytes, randomUUID } from 'node:crypto';
import type { KeyPair } from '../src/didcomm/key-cache.ts';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { createPeer4 } from '../src/dids/did-peer.ts';
import { peer4Document } from '../src/dids/own-documents.ts';
import { newId } from '../src/kernel/ids.ts';
import { loadedRecord } from '../src/kernel/record.ts';
import { linkCode, linkOwner } from '../src/kernel/short-links.ts';
import type { Database, StoredKey, StoredRecord } from '../src/ports/store.ts';
import { connection } from '../src/records/connection.ts';
import { did as ownDid } from '../src/records/did.ts';
import { outOfBand } from '../src/records/out-of-band.ts';
import { wallet } from '../src/records/wallet.ts';
import type { Peer, Peers } from './peer.ts';

export const BASE = 'base';
const AT_ONCE = 400;

/** A tenant that the bench knows how to reach. */
export interface Filled {
  readonly id: string;
  /** The id of its token. */
  readonly jti: string;
  readonly connectionId: string;
  readonly key: KeyPair;
  readonly verkey: string;
}

/** The rows of a tenant that was made through the API and connected with a peer. */
export interface Pattern {
  readonly wallet: StoredRecord;
  readonly connection: StoredRecord;
  readonly invitation: StoredRecord;
  /** The DID of the invitation, which later ones use again. */
  readonly did: StoredRecord;
  readonly keys: readonly StoredKey[];
}

export async function patternOf(db: Database, tenant: string): Promise<Pattern> {
  const only = async (category: string): Promise<StoredRecord> => {
    const { rows } = await db.store.find(tenant, category, {});
    if (rows.length !== 1) throw new Error(`the pattern has ${rows.length} records of ${category}`);
    return rows[0]!;
  };
  const [found] = await db.store.load(BASE, [{ category: wallet.category, id: tenant }]);
  const made = await only(connection.category);
  const { my_verkey: own, invitation_key: invited } = made.value as { my_verkey: string; invitation_key: string };
  const keys = await Promise.all([...new Set([own, invited])].map((kid) => db.store.key(tenant, kid)));
  return {
    wallet: found![0]!,
    connection: made,
    invitation: await only(outOfBand.category),
    did: await only(ownDid.category),
    keys: keys.filter((key) => key !== undefined),
  };
}

/**
 * Tenants by the store's own `ensureTenant` and `commit`, after a pattern: the wallet's record with its name and token; the tenant with its data key; in it a
 * connection that really works, the invitation that it came by, its keys and routes.
 */
export async function fill(
  db: Database,
  pattern: Pattern,
  count: number,
  where: { readonly agent: string; readonly peers: string },
  onProgress: (done: number) => void,
): Promise<Filled[]> {
  const filled: Filled[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, count) }, async () => {
      while (left-- > 0) {
        filled.push(await fillOne(db, pattern, where));
        if (filled.length % 1000 === 0) onProgress(filled.length);
      }
    }),
  );
  return filled;
}

async function fillOne(db: Database, pattern: Pattern, where: { readonly agent: string; readonly peers: string }): Promise<Filled> {
  const [id, jti, name] = [newId(), randomUUID(), `bench ${randomBytes(8).toString('hex')}`];
  const [own, theirs, invited] = [newKeyPair(), newKeyPair(), newKeyPair()];
  const [made, asked] = [pattern.connection.value, randomUUID()];
  const did = (verkey: string, endpoint: string): string => createPeer4(peer4Document({ verkey, endpoint })).did;
  const [myDid, theirDid, invitedDid] = [did(own.verkey, where.agent), did(theirs.verkey, where.peers), did(invited.verkey, where.agent)];
  const [connectionId, oobId, invitationId] = [newId(), newId(), randomUUID()];
  const short = linkCode(randomBytes(16).toString('hex'));

  const walletValue = { ...pattern.wallet.value, wallet_name: name, tokens: [{ jti, iat: Math.floor(Date.now() / 1000) }] };
  const walletRecord = { ...pattern.wallet, id, value: walletValue };
  const value = {
    ...made,
    my_did: myDid,
    my_verkey: own.verkey,
    invitation_key: invited.verkey,
    invitation_msg_id: invitationId,
    request_id: asked,
    their_did: theirDid,
    their_keys: [theirs.verkey],
    shown_keys: [theirs.verkey],
    their_endpoint: where.peers,
    oob_id: oobId,
  };
  const invitation = {
    ...pattern.invitation.value,
    invi_msg_id: invitationId,
    connection_id: connectionId,
    short,
    invitation: { ...(pattern.invitation.value.invitation as object), '@id': invitationId },
  };
  const didValue = { ...pattern.did.value, did: invitedDid, verkey: invited.verkey };
  await db.admin.ensureTenant(id, name);
  const pairs = [own, invited];
  await Promise.all([
    db.store.commit(BASE, {
      records: [
        {
          category: wallet.category,
          id,
          expect: 0,
          state: 'ready',
          value: walletValue,
          tags: wallet.tags(loadedRecord(walletRecord).value as never),
        },
      ],
      keyOwners: [{ kid: `wallet name ${name}`, tenant: BASE, kind: 'wallet', target: id }],
    }),
    db.store.commit(id, {
      records: [
        { ...head(pattern.connection), id: connectionId, value, tags: connection.tags(value as never) },
        {
          ...head(pattern.invitation),
          id: oobId,
          connection: pattern.invitation.connection && connectionId,
          value: invitation,
          tags: outOfBand.tags(invitation as never),
        },
        { ...head(pattern.did), id: invitedDid, value: didValue, tags: ownDid.tags(didValue as never) },
      ],
      keys: pairs.map((pair, i) => ({
        kid: pair.verkey,
        type: pattern.keys[i]!.type,
        secret: pair.secretKey,
        meta: pattern.keys[i]!.meta,
      })),
      keyOwners: [
        { kid: own.verkey, tenant: id, kind: 'connection', target: connectionId },
        { kid: invited.verkey, tenant: id, kind: 'invitation', target: oobId },
        { ...linkOwner(short, oobId), tenant: id },
      ],
    }),
  ]);
  return { id, jti, connectionId, key: theirs, verkey: own.verkey };
}

const head = ({ category, state, role }: StoredRecord) => ({ category, state, role, expect: 0 });

export const peerOf = (peers: Peers, agent: string, { connectionId, key, verkey }: Filled): Peer =>
  peers.adopt(connectionId, key, { endpoint: agent, verkey });
