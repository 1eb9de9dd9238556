import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { type KeyPair, openEnvelope, pack, parseEnvelope } from '../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { contactOf } from '../src/dids/contact.ts';
import { createPeer4, resolvePeer } from '../src/dids/did-peer.ts';
import { peer4Document } from '../src/dids/own-documents.ts';

/** A peer made of the envelope code alone: it connects to an agent and pings it, with an address of its own for the answers. */
export interface Peer {
  /** Sends one ping; resolves when its response has come. */
  ping(): Promise<void>;
  readonly connectionId: string;
}

type Message = Record<string, unknown> & { '@type': string; '@id': string; '~thread'?: { thid?: string } };

/** The load generator's end: one HTTP server for the answers to all its peers. */
export interface Peers {
  /** Where its peers are written to. */
  readonly endpoint: string;
  /** A new peer, by an invitation of the agent's; with `token`, of one of its tenants. */
  connect(adminUrl: string, apiKey: string, token?: string): Promise<Peer>;
  /** A peer of a connection that the agent's store was given with `key` and `endpoint` as its other end. */
  adopt(connectionId: string, key: KeyPair, agent: { readonly endpoint: string; readonly verkey: string }): Peer;
  close(): Promise<void>;
}

export async function startPeers(): Promise<Peers> {
  const keys = new Map<string, KeyPair>();
  const waiting = new Map<string, (message: Message) => void>();
  const agent = new Agent({ connections: 64 });
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(202, { 'content-length': 0 }).end();
      const parsed = parseEnvelope(Buffer.concat(chunks));
      const key = parsed.recipients.map((kid) => keys.get(kid)).find((one) => one !== undefined);
      if (!key) return;
      const message = JSON.parse(Buffer.from(openEnvelope(parsed, key).message).toString('utf8')) as Message;
      const thid = message['~thread']?.thid ?? message['@id'];
      waiting.get(thid)?.(message);
      waiting.delete(thid);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function post(url: string, envelope: string): Promise<void> {
    const { origin, pathname } = new URL(url);
    const { statusCode, body } = await agent.request({
      origin,
      path: pathname,
      method: 'POST',
      headers: { 'content-type': 'application/didcomm-envelope-enc' },
      body: envelope,
    });
    await body.dump();
    if (statusCode !== 202 && statusCode !== 200) throw new Error(`the agent answered ${statusCode}`);
  }
  const answered = (thid: string): Promise<Message> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer in 20 s')), 20_000);
      waiting.set(thid, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });

  const peer = (connectionId: string, send: (message: object) => Promise<void>): Peer => ({
    connectionId,
    async ping() {
      const ping = randomUUID();
      const answer = answered(ping);
      await send({ '@type': 'https://didcomm.org/trust_ping/1.0/ping', '@id': ping, response_requested: true });
      await answer;
    },
  });

  return {
    endpoint,
    adopt(connectionId, key, agent) {
      keys.set(key.verkey, key);
      return peer(connectionId, (message) =>
        post(agent.endpoint, pack({ message: JSON.stringify(message), recipients: [agent.verkey], sender: key })),
      );
    },
    async connect(adminUrl, apiKey, token) {
      const made = await fetch(`${adminUrl}/out-of-band/create-invitation?auto_accept=true`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : { 'x-api-key': apiKey }) },
        body: JSON.stringify({ handshake_protocols: ['https://didcomm.org/didexchange/1.1'], use_did_method: 'did:peer:4' }),
      });
      const { invitation } = (await made.json()) as { invitation: { '@id': string; services: string[] } };
      const inviter = contactOf(resolvePeer(invitation.services[0]!));
      const key = newKeyPair();
      keys.set(key.verkey, key);
      const { did } = createPeer4(peer4Document({ verkey: key.verkey, endpoint }));
      const id = randomUUID();
      const response = answered(id);
      const request = {
        '@type': 'https://didcomm.org/didexchange/1.1/request',
        '@id': id,
        '~thread': { thid: id, pthid: invitation['@id'] },
        label: 'bench',
        did,
      };
      await post(inviter.endpoint!, pack({ message: JSON.stringify(request), recipients: inviter.recipientKeys, sender: key }));
      const theirs = contactOf(resolvePeer((await response).did as string));
      const send = (message: object): Promise<void> =>
        post(theirs.endpoint!, pack({ message: JSON.stringify(message), recipients: theirs.recipientKeys, sender: key }));
      await send({
        '@type': 'https://didcomm.org/didexchange/1.1/complete',
        '@id': randomUUID(),
        '~thread': { thid: id, pthid: invitation['@id'] },
      });
      return peer(id, send);
    },
    async close() {
      server.closeAllConnections();
      await Promise.all([new Promise<void>((resolve) => server.close(() => resolve())), agent.destroy()]);
    },
  };
}
