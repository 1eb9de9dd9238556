import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { openEnvelope, pack, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import type { KeyPair } from '../../src/didcomm/key-cache.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../../src/didcomm/media-types.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../../src/dids/did-peer.ts';
import { peer4Document } from '../../src/dids/own-documents.ts';
import { type Body, HANDSHAKE, type TestAgent } from './agents.ts';
import { CALL_MS, type Waiting, waiting } from './waiting.ts';

/** Support for tests: a peer that speaks DIDComm v1 by hand, so that it can say whatever it likes. */

export interface Mail {
  readonly message: Body;
  readonly sender?: string;
}

export interface Posted {
  readonly status: number;
  readonly body: string;
  /** The message in the answer, where there was one. */
  readonly reply?: Body;
}

export interface Stranger {
  readonly pair: KeyPair;
  /** Long form. */
  readonly did: string;
  readonly url: string;
  readonly inbox: Waiting<Mail>;
  /** What came to its server as it came, and of that what its own key does not open. */
  readonly envelopes: Buffer[];
  readonly unopened: Buffer[];
  /** What the HTTP server answers next, by default an empty 202. */
  answer: { status: number; headers?: Record<string, string>; body?: string };
  /** Posts bytes as they are. */
  post(url: string, body: string | Uint8Array, type?: string): Promise<Posted>;
  /** Seals and posts: authcrypt by its own key unless another (or `null`, for anoncrypt) is given. */
  send(to: { verkey: string; url: string }, message: object, sender?: KeyPair | null): Promise<Posted>;
  seal(verkey: string, message: object, sender?: KeyPair | null): string;
  close(): Promise<void>;
}

/** A stranger. Without an endpoint its DID says that mail waits for its next session. */
export async function startStranger(options: { endpoint?: boolean } = {}): Promise<Stranger> {
  const pair = newKeyPair();
  const inbox = waiting<Mail>();
  const open = (bytes: Uint8Array): Mail => {
    const { message, sender } = openEnvelope(parseEnvelope(bytes), pair);
    return { message: JSON.parse(Buffer.from(message).toString('utf8')), sender };
  };
  const envelopes: Buffer[] = [];
  const unopened: Buffer[] = [];
  const take = (bytes: Buffer): void => {
    envelopes.push(bytes);
    if (parseEnvelope(bytes).recipients.includes(pair.verkey)) inbox.add(open(bytes));
    else unopened.push(bytes);
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, headers, body } = stranger.answer;
      if (status < 300) take(Buffer.concat(chunks));
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { did } = createPeer4(peer4Document({ verkey: pair.verkey, endpoint: options.endpoint === false ? undefined : url }));
  const stranger: Stranger = {
    pair,
    did,
    url,
    inbox,
    envelopes,
    unopened,
    answer: { status: 202 },
    async post(to, body, type = ENVELOPE_V1) {
      const response = await fetch(to, {
        method: 'POST',
        headers: { 'content-type': type },
        body: body as string,
        signal: AbortSignal.timeout(CALL_MS),
      });
      const text = await response.text();
      let reply: Body;
      if (response.status === 200 && text.length > 0) {
        const mail = open(Buffer.from(text));
        inbox.add(mail);
        reply = mail.message;
      }
      return { status: response.status, body: text, reply };
    },
    seal: (verkey, message, sender = pair) => pack({ message: JSON.stringify(message), recipients: [verkey], sender: sender ?? undefined }),
    send: (to, message, sender) => stranger.post(to.url, stranger.seal(to.verkey, message, sender)),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return stranger;
}

/** A message of a type with a fresh id. */
export const message = (type: string, members: object = {}, id: string = randomUUID()): Body => ({
  '@type': type.startsWith('http') || type.startsWith('did:') ? type : `https://didcomm.org/${type}`,
  '@id': id,
  ...members,
});

/** Where an invitation's requests go. */
export function serviceOf(invitation: Body): { verkey: string; url: string } {
  const [service] = invitation.services;
  if (typeof service === 'string') {
    const { recipientKeys, endpoint } = contactOf(resolvePeer(service));
    return { verkey: recipientKeys[0]!, url: endpoint! };
  }
  return { verkey: didKeyToVerkey(service.recipientKeys[0].split('#')[0])!, url: service.serviceEndpoint };
}

export interface Link {
  /** The agent's id of the connection. */
  readonly id: string;
  readonly requestId: string;
  readonly invitation: Body;
  readonly to: { verkey: string; url: string };
  send(message: object, sender?: KeyPair | null): Promise<Posted>;
}

/** A stranger's request for an invitation. */
export const requestFor = (stranger: Stranger, invitation: Body, members: object = {}): Body =>
  message('didexchange/1.1/request', {
    label: 'stranger',
    did: stranger.did,
    '~thread': { pthid: invitation['@id'] },
    ...members,
  });

/** Connects a stranger to an agent by did-exchange. */
export async function connectStranger(agent: TestAgent, stranger: Stranger): Promise<Link> {
  const { invitation } = await agent.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const service = serviceOf(invitation);
  const request = requestFor(stranger, invitation);
  await stranger.send(service, request);
  const response = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'a did-exchange response');
  const to = { verkey: contactOf(resolvePeer(response.message.did)).recipientKeys[0]!, url: agent.inbound };
  await stranger.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: invitation['@id'] } }));
  const { connection_id: id } = await agent.event(
    'connections',
    (payload) => payload.state === 'active' && payload.request_id === request['@id'],
    "the stranger's connection",
  );
  return { id, requestId: request['@id'], invitation, to, send: (what, sender) => stranger.send(to, what, sender) };
}

export { shortPeerDid };
