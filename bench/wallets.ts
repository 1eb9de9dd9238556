import { randomUUID } from 'node:crypto';
import { Agent } from 'undici';
import { WebSocket } from 'ws';
import { didKeyToVerkey } from '../src/didcomm/encoding.ts';
import { type KeyPair, openEnvelope, pack, parseEnvelope } from '../src/didcomm/envelope-v1.ts';
import { wrapForward } from '../src/didcomm/forward.ts';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { contactOf } from '../src/dids/contact.ts';
import { createPeer4, resolvePeer } from '../src/dids/did-peer.ts';
import { peer4Document } from '../src/dids/own-documents.ts';
import type { BenchAgent } from './agent.ts';

/** Wallets that nobody can reach, on WebSockets to a mediator, made of the envelope code alone; and who writes to them. */

type Message = Record<string, unknown> & { '@type': string; '@id': string };

export type Mode = 'implicit' | 'live';

export interface BenchWallet {
  readonly verkey: string;
  readonly routingKey: string;
  /** Opens its socket, and asks for its mail in the mode. Resolves when the mediator has answered. */
  open(mode: Mode): Promise<void>;
  /** Opens one more, beside those that it has. */
  another(mode: Mode): Promise<void>;
  /** Ends its socket without a word. */
  drop(): Promise<void>;
  /** An envelope for it, wrapped for the mediator; its arrival is told under the name. */
  mail(name: string): string;
}

export interface BenchWallets {
  connect(): Promise<BenchWallet>;
  /** Resolves when the mail of the name has come. */
  arrival(name: string): Promise<void>;
  /** How many messages have come, over all wallets. */
  readonly count: number;
  /** Calls `listener` for each. */
  onMail(listener: () => void): void;
  post(envelope: string): Promise<void>;
  close(): Promise<void>;
}

const ALL = { '~transport': { return_route: 'all' } };
/** About 1 KB of plaintext, as credentials' messages are at least. */
const FILLER = 'x'.repeat(880);

export function benchWallets(agent: BenchAgent): BenchWallets {
  const dispatcher = new Agent({ connections: 64 });
  const waiting = new Map<string, () => void>();
  const sockets = new Set<WebSocket>();
  let count = 0;
  let received = (): void => {};
  const { origin } = new URL(agent.inbound);

  function came(envelope: string): void {
    count++;
    const name = nameOf(envelope);
    waiting.get(name)?.();
    waiting.delete(name);
    received();
  }

  async function post(envelope: string): Promise<void> {
    const { statusCode, body } = await dispatcher.request({
      origin,
      path: '/',
      method: 'POST',
      headers: { 'content-type': 'application/didcomm-envelope-enc' },
      body: envelope,
    });
    await body.dump();
    if (statusCode !== 202) throw new Error(`the mediator answered ${statusCode}`);
  }

  const names = new Map<string, string>();

  return {
    post,
    get count() {
      return count;
    },
    onMail(listener) {
      received = listener;
    },
    arrival(name) {
      const of = names.get(name)!;
      names.delete(name);
      return new Promise((resolve) => waiting.set(of, resolve));
    },
    connect: () => connectWallet({ agent, sockets, names, came }),
    async close() {
      for (const ws of sockets) ws.terminate();
      await dispatcher.destroy();
    },
  };
}

interface Shared {
  readonly agent: BenchAgent;
  readonly sockets: Set<WebSocket>;
  /** The envelopes on their way, by the names of their messages. */
  readonly names: Map<string, string>;
  readonly came: (envelope: string) => void;
}

/** Makes a wallet, connects it to the mediator, and registers its key. */
async function connectWallet({ agent, sockets, names, came }: Shared): Promise<BenchWallet> {
  const own = newKeyPair();
  const key = newKeyPair();
  let socket: WebSocket | undefined;
  const answers = new Map<string, (message: Message) => void>();
  let to = { recipientKeys: [] as readonly string[] };
  const seal = (message: object): string => pack({ message: JSON.stringify(message), recipients: to.recipientKeys, sender: own });
  const ask = (type: string, members: object = {}): Promise<Message> => {
    const id = randomUUID();
    return new Promise((resolve) => {
      answers.set(id, resolve);
      socket!.send(seal({ '@type': `https://didcomm.org/${type}`, '@id': id, ...ALL, ...members }));
    });
  };
  const read = (text: string): void => {
    const parsed = parseEnvelope(Buffer.from(text));
    // mail is for the other key: only its coming is of interest
    if (!parsed.recipients.includes(own.verkey)) {
      came(text);
      return;
    }
    const message = opened(parsed, own);
    if (message['@type'].endsWith('/delivery')) {
      const items = message['~attach'] as { '@id': string; data: { json: object } }[];
      for (const { data } of items) came(JSON.stringify(data.json));
      const body = { '@type': 'https://didcomm.org/messagepickup/2.0/messages-received', '@id': randomUUID() };
      socket!.send(seal({ ...body, ...ALL, message_id_list: items.map((one) => one['@id']) }));
      return;
    }
    const { thid } = (message['~thread'] ?? {}) as { thid?: string };
    answers.get(thid ?? '')?.(message);
    answers.delete(thid ?? '');
  };
  const begin = async (mode: Mode): Promise<void> => {
    if (mode === 'implicit') await ask('trust_ping/1.0/ping', { response_requested: true });
    else await ask('messagepickup/2.0/live-delivery-change', { live_delivery: true });
  };
  const openSocket = async (): Promise<void> => {
    const ws = new WebSocket(agent.inbound.replace(/^http/, 'ws'), { perMessageDeflate: false, skipUTF8Validation: true });
    socket = ws;
    sockets.add(ws);
    ws.on('message', (data) => read(data.toString()));
    ws.on('close', () => sockets.delete(ws));
    await new Promise<void>((resolve, reject) => ws.once('open', resolve).once('error', reject));
  };

  const made = await fetch(`${agent.admin}/out-of-band/create-invitation?auto_accept=true`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': agent.key },
    body: JSON.stringify({ handshake_protocols: ['https://didcomm.org/didexchange/1.1'], use_did_method: 'did:peer:4' }),
  });
  const { invitation } = (await made.json()) as { invitation: { '@id': string; services: string[] } };
  to = contactOf(resolvePeer(invitation.services[0]!));
  await openSocket();
  const { did } = createPeer4(peer4Document({ verkey: own.verkey }));
  const response = await ask('didexchange/1.1/request', { '~thread': { pthid: invitation['@id'] }, label: 'bench', did });
  to = contactOf(resolvePeer(response.did as string));
  const thread = response['~thread'] as object;
  socket!.send(seal({ '@type': 'https://didcomm.org/didexchange/1.1/complete', '@id': randomUUID(), '~thread': thread }));
  const grant = await ask('coordinate-mediation/1.0/mediate-request');
  const routingKey = didKeyToVerkey((grant.routing_keys as string[])[0]!.split('#')[0]!)!;
  await ask('coordinate-mediation/1.0/keylist-update', { updates: [{ recipient_key: key.verkey, action: 'add' }] });

  return {
    verkey: key.verkey,
    routingKey,
    async another(mode) {
      await openSocket();
      await begin(mode);
    },
    async open(mode) {
      if (socket?.readyState !== WebSocket.OPEN) await openSocket();
      await begin(mode);
    },
    async drop() {
      const ws = socket!;
      const ended = new Promise((resolve) => ws.once('close', resolve));
      ws.terminate();
      await ended;
    },
    mail(name) {
      const message = { '@type': 'https://didcomm.org/basicmessage/1.0/message', '@id': randomUUID(), content: FILLER };
      const inner = pack({ message: JSON.stringify(message), recipients: [key.verkey] });
      names.set(name, nameOf(inner));
      return wrapForward(inner, key.verkey, [routingKey]);
    },
  };
}

/** A name of an envelope, without opening it. */
const nameOf = (envelope: string): string => envelope.slice(-60);

const opened = (parsed: ReturnType<typeof parseEnvelope>, pair: KeyPair): Message =>
  JSON.parse(Buffer.from(openEnvelope(parsed, pair).message).toString('utf8')) as Message;
