import { WebSocket } from 'ws';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { openEnvelope, pack, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { wrapForward } from '../../src/didcomm/forward.ts';
import type { KeyPair } from '../../src/didcomm/key-cache.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../../src/didcomm/media-types.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, HANDSHAKE, type TestAgent, type World } from './agents.ts';
import { message, type Posted, requestFor, type Stranger, serviceOf, startStranger } from './stranger.ts';
import { CALL_MS, until, type Waiting, waiting } from './waiting.ts';

/** Support for tests: a phone's wallet by hand, that nobody can reach but through its mediator. */

export const ALL = { '~transport': { return_route: 'all' } };

export interface Wallet {
  readonly stranger: Stranger;
  /** The mediator's id of the connection. */
  readonly id: string;
  /** The mediator's key and address on the connection. */
  readonly to: { verkey: string; url: string };
  /** What the mediator is to forward to. */
  readonly key: KeyPair;
  readonly routingKey: string;
  readonly endpoint: string;
  /** Says something and asks for the answer in the response. */
  say(type: string, members?: object): Promise<Posted>;
  /** Forwards a text to the key, as a peer of the wallet would. @returns the status */
  forward(text: string): Promise<number>;
  /** The envelope that `forward` posts. */
  wrapped(text: string): string;
  /** The texts in envelopes for the key. */
  read(...envelopes: Body[]): string[];
  /** The texts of a `delivery`, and the ids of its attachments. */
  delivered(delivery: Body): { texts: string[]; ids: string[] };
}

/** What a wallet needs of its mediator: its controller, and where it is written to. */
export type Mediating = Pick<TestAgent, 'post' | 'event' | 'inbound'>;

export const textOf = (pair: KeyPair, envelope: unknown): string => {
  const { message: opened } = openEnvelope(parseEnvelope(Buffer.from(JSON.stringify(envelope))), pair);
  return JSON.parse(Buffer.from(opened).toString()).content;
};

/** Wallets and their sockets, which end with a world. */
export const walletsOf = (world: Pick<World, 'defer'>) => ({
  async wallet(of: Mediating): Promise<Wallet> {
    const one = await startWallet(of);
    world.defer(() => one.stranger.close());
    return one;
  },
  async line(of: Wallet, options?: LineOptions): Promise<Line> {
    const one = await openLine(of, options);
    world.defer(() => one.close());
    return one;
  },
});

/** A wallet's WebSocket to its mediator. */
export interface Line {
  readonly ws: WebSocket;
  /** The texts that came for the wallet's key, as they are or in a `delivery`, in their order. */
  readonly texts: Waiting<string>;
  /** Messages of the mediator itself, and its deliveries. */
  readonly inbox: Waiting<Body>;
  /** Every frame, in its order: the text, or the kind of message. */
  readonly frames: string[];
  readonly closed: Promise<{ code: number; reason: string }>;
  say(type: string, members?: object): void;
  /** Sends a message and waits for what answers it. */
  ask(type: string, members?: object): Promise<Body>;
  close(): void;
}

export interface LineOptions {
  /** Answers pings by itself. */
  readonly pongs?: boolean;
  /** Says `messages-received` for each delivery. */
  readonly confirms?: boolean;
  readonly url?: string;
  /** Hears of each text as it comes. */
  readonly onText?: (text: string) => void;
}

/** Opens a wallet's WebSocket. */
export async function openLine({ stranger, key, to }: Wallet, options: LineOptions = {}): Promise<Line> {
  const { pongs = true, confirms = true, url = to.url, onText } = options;
  const ws = new WebSocket(url.replace(/^http/, 'ws'), { autoPong: pongs, perMessageDeflate: false });
  const texts = waiting<string>();
  const inbox = waiting<Body>();
  const frames: string[] = [];
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  const came = (text: string): void => {
    onText?.(text);
    texts.add(text);
  };
  const say = (type: string, members: object = {}): string => {
    const sent = message(type, { ...ALL, ...members });
    ws.send(stranger.seal(to.verkey, sent));
    return sent['@id'];
  };
  ws.on('message', (data) => {
    const parsed = parseEnvelope(data as Buffer);
    if (parsed.recipients.includes(key.verkey)) {
      const text = textOf(key, JSON.parse(data.toString()));
      frames.push(text);
      return came(text);
    }
    const body: Body = JSON.parse(Buffer.from(openEnvelope(parsed, stranger.pair).message).toString());
    const kind = body['@type'].split('/').at(-1);
    frames.push(kind);
    if (kind === 'delivery') {
      const ids = body['~attach'].map((one: Body) => one['@id']);
      for (const one of body['~attach']) came(textOf(key, one.data.json));
      if (confirms) say('messagepickup/2.0/messages-received', { message_id_list: ids });
    }
    inbox.add(body);
  });
  await new Promise<void>((resolve, reject) => {
    ws.once('open', resolve);
    ws.once('error', reject);
  });
  ws.on('error', () => {});
  return {
    ws,
    texts,
    inbox,
    frames,
    closed,
    say(type, members) {
      say(type, members);
    },
    async ask(type, members) {
      const id = say(type, members);
      return await inbox.first((one) => one['~thread']?.thid === id, `an answer to ${type}`);
    },
    close: () => ws.terminate(),
  };
}

/** Connects a wallet to a mediator that grants by itself, and has one key forwarded for it. */
export async function startWallet(mediator: Mediating, url: string = mediator.inbound): Promise<Wallet> {
  const { invitation } = await mediator.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  return await joinWallet(invitation, url, async (request) => {
    const active = (one: Body): boolean => one.state === 'active' && one.request_id === request;
    return (await mediator.event('connections', active, "the wallet's connection")).connection_id;
  });
}

/**
 * Connects a wallet by an invitation, and has one key forwarded for it.
 * @param idOf what the mediator calls the connection of a request
 */
export async function joinWallet(
  invitation: Body,
  url: string,
  idOf: (request: string) => Promise<string> = async () => '',
): Promise<Wallet> {
  const stranger = await startStranger({ endpoint: false });
  const service = { ...serviceOf(invitation), url };
  const request = requestFor(stranger, invitation, ALL);
  // an answer that takes longer than a request waits comes with the next one
  const answered = (of: { verkey: string; url: string }, asked: Body, kind: string): Promise<Body> =>
    until(async () => {
      const { reply } = await stranger.send(of, asked);
      return reply?.['@type'].endsWith(`/${kind}`) && reply;
    }, kind);
  const response = await answered(service, request, 'response');
  const to = { verkey: contactOf(resolvePeer(response.did)).recipientKeys[0]!, url };
  const thread = { thid: request['@id'], pthid: invitation['@id'] };
  await stranger.send(to, message('didexchange/1.1/complete', { '~thread': thread }));
  const id = await idOf(request['@id']);
  const say = (type: string, members: object = {}): Promise<Posted> => stranger.send(to, message(type, { ...ALL, ...members }));
  const grant = await answered(to, message('coordinate-mediation/1.0/mediate-request', ALL), 'mediate-grant');
  const routingKey = didKeyToVerkey(grant.routing_keys[0].split('#')[0])!;
  const key = newKeyPair();
  const updates = [{ recipient_key: key.verkey, action: 'add' }];
  await say('coordinate-mediation/1.0/keylist-update', { updates });
  const wrapped = (content: string): string =>
    wrapForward(pack({ message: JSON.stringify(message('basicmessage/1.0/message', { content })), recipients: [key.verkey] }), key.verkey, [
      routingKey,
    ]);
  const read = (...envelopes: Body[]): string[] => envelopes.map((envelope) => textOf(key, envelope));
  return {
    stranger,
    id,
    to,
    key,
    routingKey,
    endpoint: grant.endpoint,
    say,
    wrapped,
    async forward(text) {
      const { status } = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': ENVELOPE_V1 },
        body: wrapped(text),
        signal: AbortSignal.timeout(CALL_MS),
      });
      return status;
    },
    read,
    delivered(delivery) {
      const items = delivery['~attach'] as { '@id': string; data: { json: Body } }[];
      return { texts: read(...items.map(({ data }) => data.json)), ids: items.map((one) => one['@id']) };
    },
  };
}
