import { Agent, request } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deflateRawSync } from 'node:zlib';
import { packObject, unpackInfo, unpackMetadata, unpackObject } from '../../src/adapters/algorand/codec.ts';
import { oidOf } from '../../src/adapters/algorand/ids.ts';
import { PROTOCOLS } from '../../src/builtin-protocols.ts';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../../src/didcomm/media-types.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { checkDidDocument } from '../../src/dids/did-doc.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { AppError } from '../../src/errors.ts';
import type { Protocol } from '../../src/kernel/protocol.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, type Link, type Stranger, startStranger } from '../support/stranger.ts';
import { CALL_MS } from '../support/waiting.ts';
import { mutateBytes, mutatedJson, mutateText, mutateValue, ODD_TEXTS, type Rng, rng, sample } from './mutate.ts';

/**
 * Seeded damage to everything that comes from outside, against an agent in this process on a temporary SQLite store: envelopes, what is in them, bodies of the
 * admin API, and what a ledger's boxes hold. What must hold is in `fuzz`.
 */

/** Statuses that the message port has. */
const INBOUND = new Set([200, 202, 400, 413, 415, 429]);
/** Statuses that the admin API has: those of the error table, without 500. */
const ADMIN = new Set([200, 201, 302, 400, 401, 403, 404, 405, 409, 413, 415, 422, 501, 502, 503, 504]);
const AT_ONCE = 96;
/** Calls may wait for what they caused, so few of them are under way at a time. */
const CALLS_AT_ONCE = 12;

export interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  /** No case begins after so many seconds. */
  readonly seconds?: number;
  /** One case alone: a finding, again. */
  readonly only?: number;
  readonly progress?: (done: number, rss: number) => void;
}

export interface FuzzResult {
  readonly count: number;
  readonly seconds: number;
  /** Cases by kind, and answers by kind and status. */
  readonly kinds: Record<string, number>;
  readonly statuses: Record<string, number>;
  /** Resident memory in bytes, after a collection: before, at a tenth, at the end. */
  readonly rss: { readonly start: number; readonly tenth: number; readonly end: number };
  /** What must not be, with the case to run again. Empty is good. */
  readonly findings: string[];
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const memory = (): number => {
  collect();
  return process.memoryUsage().rss;
};

/**
 * Runs the cases. Findings are: a status that is not documented, or 500; an error in the agent's log; a rejection that nobody handled; something other than an
 * `AppError` thrown at ledger data; an agent that does not answer afterwards; memory that grew with the cases.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { seed, count } = options;
  const findings: string[] = [];
  const find = (text: string): void => {
    if (findings.length < 50) findings.push(text.slice(0, 1500));
  };
  const world = createWorld();
  const stray = (error: unknown): void => find(`nobody handled: ${(error as Error)?.stack ?? String(error)}`);
  process.on('unhandledRejection', stray);
  process.on('uncaughtException', stray);
  const sockets = new Agent({ keepAlive: true, maxSockets: AT_ONCE + CALLS_AT_ONCE });
  try {
    const target = await prepare(world);
    const kinds: Record<string, number> = {};
    const statuses: Record<string, number> = {};
    const start = memory();
    let tenth: number | undefined;
    const began = performance.now();

    const settle = (kind: string, number: number, status: number, allowed: ReadonlySet<number>, what: () => string): void => {
      const key = `${kind} ${status}`;
      statuses[key] = (statuses[key] ?? 0) + 1;
      if (!allowed.has(status)) find(`case ${number}: ${kind} answered ${status}: ${what()}`);
    };
    const tidy = (): void => {
      for (const line of target.agent.logged.splice(0)) if (line.includes('"level":"error"')) find(`logged: ${line}`);
      (target.stranger.inbox.list as unknown[]).length = 0;
    };

    let calls = 0;
    let waiting: (() => void)[] = [];
    const run = async (number: number): Promise<void> => {
      const r = rng(seed, number);
      const kind = r.chance(0.45) ? 'envelope' : r.chance(0.55) ? 'message' : r.chance(0.6) ? 'ledger' : 'admin';
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      if (kind === 'ledger') {
        const wrong = ledgerCase(r, target);
        if (wrong) find(`case ${number}: ${wrong}`);
      } else if (kind === 'admin') {
        while (calls >= CALLS_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
        calls++;
        const call = adminCase(r, target);
        const status = await send(sockets, `${target.agent.admin}${call.url}`, call.method, call.body, {
          'x-api-key': target.agent.key,
          'content-type': 'application/json',
        }).finally(() => {
          calls--;
          for (const next of waiting.splice(0)) next();
        });
        settle(kind, number, status, ADMIN, () => `${call.method} ${call.url} ${call.body ?? ''}`);
      } else {
        const bytes = kind === 'envelope' ? envelopeCase(r, target) : messageCase(r, target);
        const status = await send(sockets, target.link.to.url, 'POST', bytes, { 'content-type': ENVELOPE_V1 });
        settle(kind, number, status, INBOUND, () => Buffer.from(bytes).toString('latin1').slice(0, 600));
      }
    };

    let next = 0;
    const total = options.only === undefined ? count : 1;
    let done = 0;
    /** How much of the run is behind, by cases or by time. */
    const share = (): number => Math.max(done / total, (performance.now() - began) / 1000 / (options.seconds ?? Infinity));
    const worker = async (): Promise<void> => {
      for (let at = next++; at < total && share() < 1; at = next++) {
        const number = options.only ?? at;
        await run(number).catch((error: unknown) => find(`case ${number}: ${(error as Error).stack}`));
        done++;
        if (done % 1000 === 0) tidy();
        if (tenth === undefined && share() >= 0.1) tenth = memory();
        if (done % 10_000 === 0) options.progress?.(done, process.memoryUsage().rss);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    waiting = [];
    const seconds = (performance.now() - began) / 1000;

    const alive = await target.agent.call('GET', '/status/live');
    if (alive.status !== 200) find(`/status/live answers ${alive.status} in the end`);
    const made = await target.agent.call('POST', '/out-of-band/create-invitation', HANDSHAKE);
    if (made.status !== 200) find(`an invitation cannot be made in the end: ${made.text}`);
    tidy();
    const end = memory();
    tenth ??= start;
    // a fifth more than at the tenth is a heap that found its size; beyond that, something is kept for each case
    if (done >= 10_000 && end > tenth * 1.2 + 64 * 2 ** 20) find(`memory grew from ${mega(tenth)} at a tenth to ${mega(end)}`);
    return { count: done, seconds, kinds, statuses, rss: { start, tenth, end }, findings };
  } finally {
    sockets.destroy();
    await world.close();
    process.off('unhandledRejection', stray);
    process.off('uncaughtException', stray);
  }
}

const mega = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

function send(
  agent: Agent,
  url: string,
  method: string,
  body: string | Uint8Array | undefined,
  headers: Record<string, string>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    // Node.js gives the body of a DELETE no length by itself
    const sized = body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = request(url, { method, agent, headers: sized, timeout: CALL_MS }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within a minute')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

// -- what is damaged ---------------------------------------------------------------------------------------------------------------------------------------

interface Target {
  readonly agent: TestAgent;
  readonly stranger: Stranger;
  readonly link: Link;
  /** Every message type that is registered, with its schema. */
  readonly messages: readonly { readonly type: string; readonly schema: unknown }[];
  readonly operations: readonly { readonly method: string; readonly path: string; readonly spec: Body }[];
  /** Identifiers and names that lead somewhere. */
  readonly words: readonly string[];
  readonly members: readonly string[];
  readonly envelopes: readonly string[];
  readonly boxes: readonly {
    readonly did: string;
    readonly object: Record<string, unknown>;
    readonly oid: Uint8Array;
    readonly box: Buffer;
  }[];
  readonly documents: readonly unknown[];
}

async function prepare(world: ReturnType<typeof createWorld>): Promise<Target> {
  const devnet = await world.devnet();
  const flags = ['--public-invites', '--auto-accept-requests', '--auto-respond-credential-offer', '--auto-respond-presentation-request'];
  const agent = await world.start('fuzzed', { devnet, noWebhook: true, flags });
  const stranger = await startStranger();
  world.defer(stranger.close);
  // without webhooks, the list tells of the connection
  const asked: TestAgent = {
    ...agent,
    event: (_topic, matches, what) =>
      until(async () => (await agent.get('/connections')).results.find((one: Body) => matches(one)) ?? false, what),
  };
  const link = await connectStranger(asked, stranger);
  const { oob_id, invi_msg_id } = await agent.post('/out-of-band/create-invitation', HANDSHAKE);
  const { result } = await agent.post('/wallet/did/create', { method: 'key' });
  const { paths } = await agent.get('/api/docs/swagger.json');
  const operations = Object.entries(paths as Record<string, Record<string, Body>>)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, spec]) => ({ method: method.toUpperCase(), path, spec })))
    .filter(({ path }) => path !== '/shutdown');
  const protocols = (PROTOCOLS as unknown as Protocol[]).filter((protocol) => protocol.uris.length > 0);
  const messages = protocols.flatMap((protocol) =>
    [
      ...Object.entries(protocol.messages),
      ...(protocol.acked ? [['ack', protocol.acked] as const] : []),
      ...(protocol.problem ? [['problem-report', protocol.problem] as const] : []),
    ].map(([name, step]) => ({ type: `${protocol.uris[0]}/${name}`, schema: step.schema as unknown })),
  );
  const formats = ['anoncreds/credential-offer@v1.0', 'anoncreds/proof-request@v1.0', 'anoncreds/proof@v1.0', 'hlindy/proof-req@v2.0'];
  const words = [
    ...[link.id, link.requestId, link.invitation['@id'], oob_id, invi_msg_id, result.did, result.verkey, stranger.did, stranger.url],
    ...[
      ...formats,
      'a',
      'b',
      'thread-1',
      'thread-2',
      'anoncreds',
      'indy',
      'key',
      'algo',
      'ed25519',
      '1.0',
      'true',
      '7',
      '>=',
      'didexchange/1.1',
    ],
  ];
  const members = [
    ...['@id', '@type', '~thread', '~attach', '~transport', '~timing', '~please_ack', '~l10n', 'thid', 'pthid', 'data', 'base64', 'json'],
    ...[
      'formats',
      'attach_id',
      'format',
      'did',
      'did_doc~attach',
      'label',
      'description',
      'code',
      'comment',
      'name',
      '__proto__',
      'connection_id',
    ],
  ];
  const envelopes = Array.from({ length: 32 }, (_, n) => {
    const r = rng(0, n);
    const sent = { '@type': messages[n % messages.length]!.type, '@id': `seed-${n}`, comment: 'x'.repeat(r.int(200)) };
    return stranger.seal(link.to.verkey, sent, n % 4 === 0 ? null : undefined);
  });
  const did = `did:algo:custom:app:${devnet.appId}:${'ab'.repeat(32)}`;
  const objects: Record<string, unknown>[] = [
    { issuerId: did, name: 'degree', version: '1.0', attrNames: ['name', 'age'] },
    {
      issuerId: did,
      schemaId: `${did}/anoncreds/v1/SCHEMA/x`,
      type: 'CL',
      tag: 'default',
      value: { primary: { n: '1'.repeat(600), r: { a: '2' } } },
    },
  ];
  const boxes = objects.map((object) => ({ did, object, oid: oidOf(object), box: boxOf(did, object) }));
  const documents = [
    resolvePeer(stranger.did),
    resolvePeer(`${link.invitation.services[0]}`.startsWith('did:peer') ? link.invitation.services[0] : stranger.did),
  ];
  return { agent, stranger, link, messages, operations, words, members, envelopes, boxes, documents };
}

function boxOf(did: string, object: Record<string, unknown>): Buffer {
  const [{ head, payload }] = packObject(did, object.attrNames ? 'SCHEMA' : 'CLAIM_DEF', object);
  return Buffer.concat([head, Buffer.alloc(16), payload]);
}

function envelopeCase(r: Rng, { envelopes, members, words }: Target): Uint8Array {
  const envelope = r.pick(envelopes);
  if (r.chance(0.6)) return mutateBytes(r, Buffer.from(envelope));
  // the parts, and what their base64 holds
  const parts = JSON.parse(envelope) as Record<string, string>;
  if (r.chance(0.5)) return Buffer.from(mutatedJson(r, parts, [...members, ...words]));
  const name = r.pick(Object.keys(parts));
  const inner = Buffer.from(parts[name]!, 'base64url');
  const changed =
    name === 'protected' && r.chance(0.7) ? Buffer.from(mutatedJson(r, JSON.parse(inner.toString('utf8')), words)) : mutateBytes(r, inner);
  return Buffer.from(JSON.stringify({ ...parts, [name]: changed.toString('base64url') }));
}

function messageCase(r: Rng, target: Target): Uint8Array {
  const { stranger, link, words, members } = target;
  const { type, schema } = r.pick(target.messages);
  const attachment = (): unknown => ({
    '@id': r.pick(['a', 'b']),
    'mime-type': 'application/json',
    data: r.chance(0.5)
      ? { json: { cred_def_id: r.pick(words), schema_id: r.pick(words), nonce: '1', requested_attributes: { a: { name: 'x' } } } }
      : { base64: Buffer.from(JSON.stringify({ requested_predicates: {}, identifiers: [{}] })).toString('base64') },
  });
  const fields = [
    'offers',
    'requests',
    'credentials',
    'request_presentations',
    'presentations',
    'proposals',
    'filters',
    'did_doc',
    'did_rotate',
  ];
  const base = {
    '@type': r.chance(0.95) ? type : mutateText(r, type),
    // seldom the same twice: a repetition is answered from its mark
    '@id': r.chance(0.97) ? `m-${r.int(2 ** 31)}-${r.int(2 ** 31)}` : 'once',
    ...(sample(r, schema, words) as object),
    ...(r.chance(0.7) ? { '~thread': { thid: r.pick(words), ...(r.chance(0.5) ? { pthid: r.pick(words) } : {}) } } : {}),
    ...(r.chance(0.1) ? { '~transport': { return_route: 'all' } } : {}),
    ...(r.chance(0.6) ? { [`${r.pick(fields)}~attach`]: r.chance(0.2) ? attachment() : [attachment()] } : {}),
  };
  const text = r.chance(0.25) ? JSON.stringify(base) : mutatedJson(r, base, [...members, ...words]);
  const sender = r.chance(0.9) ? stranger.pair : r.chance(0.5) ? undefined : newKeyPair();
  return Buffer.from(pack({ message: text, recipients: [link.to.verkey], sender }));
}

function adminCase(r: Rng, { operations, words, members }: Target): { method: string; url: string; body?: string } {
  const { method, path, spec } = r.pick(operations);
  const schema = spec.requestBody?.content['application/json'].schema;
  const value = (): string => (r.chance(0.8) ? r.pick(words) : r.pick(ODD_TEXTS.filter((text) => text !== '' && !text.includes('\ud800'))));
  const query = new URLSearchParams();
  for (const { in: place, name, schema: given } of spec.parameters ?? [])
    if (place === 'query' && r.chance(0.4)) query.set(name, r.chance(0.7) ? String(sample(r, given, words)) : value());
  const url = `${path.replace(/\{[a-z_]+\}/g, () => encodeURIComponent(value()))}${query.size > 0 ? `?${query}` : ''}`;
  if (method === 'GET' || !schema) return { method, url };
  const body = sample(r, schema, words);
  return { method, url, body: r.chance(0.4) ? JSON.stringify(body) : mutatedJson(r, body, [...members, ...words]) };
}

/** What is wrong; undefined is good. Anything but a value or an AppError (or what the DID library declares) is. */
function ledgerCase(r: Rng, { boxes, documents, words, members, stranger }: Target): string | undefined {
  const { did, object, oid, box } = r.pick(boxes);
  const type = r.chance(0.9) ? (object.attrNames ? 'SCHEMA' : 'CLAIM_DEF') : 'REV_REG_DEF';
  const attempt = (what: string, action: () => unknown): string | undefined => {
    try {
      action();
      return undefined;
    } catch (error) {
      return error instanceof AppError && error.code !== 'internal' ? undefined : `${what} threw ${(error as Error).stack}`;
    }
  };
  switch (r.int(6)) {
    case 0:
      return attempt('unpackObject', () => unpackObject(did, type, oid, mutateBytes(r, box)));
    case 1: {
      // sealed as it should be, but for what is in it
      const text = mutatedJson(r, object, [...members, ...words]);
      const sealed = Buffer.concat([box.subarray(0, 18), deflateRawSync(Buffer.from(text))]);
      return attempt('unpackObject', () => {
        let name = oid;
        try {
          name = oidOf(JSON.parse(text) as Record<string, unknown>);
        } catch {}
        return unpackObject(did, type, name, sealed);
      });
    }
    case 2:
      return attempt('unpackMetadata', () => unpackMetadata(mutateBytes(r, Buffer.alloc(33, r.int(256)))));
    case 3:
      return attempt('unpackInfo', () => unpackInfo(mutateBytes(r, Buffer.alloc(88, r.int(256)))));
    case 4: {
      const document = mutateValue(r, r.pick(documents), [...members, ...words]);
      return attempt('checkDidDocument', () => checkDidDocument(document)) ?? attempt('contactOf', () => contactOf(document as never));
    }
    default:
      return attempt('resolvePeer', () => resolvePeer(mutateText(r, stranger.did)));
  }
}

// -- the command ---------------------------------------------------------------------------------------------------------------------------------------------

const HELP = `./flexid fuzz [--count N] [--seed S] [--seconds N] [--only CASE]

Damaged envelopes, messages, admin bodies and ledger objects against an agent of its own on a temporary store (default: 20000 cases, seed 1).
Ends with 1 where anything was found: a status that is not documented, 500, an error in the log, a crash, memory that grows.
--seconds ends the run after that time, however many cases are left.
--only runs one case of a seed again.
`;

/** `./flexid fuzz`. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const given: Record<string, number> = { count: 20_000, seed: 1 };
  for (let i = 0; i < argv.length; i += 2) {
    const name = /^--(count|seed|seconds|only)$/.exec(argv[i]!)?.[1];
    const value = Number(argv[i + 1]);
    if (!name || !Number.isSafeInteger(value) || value < 0) {
      const help = argv[i] === '--help' || argv[i] === '-h';
      (help ? process.stdout : process.stderr).write(HELP);
      return help ? 0 : 2;
    }
    given[name] = value;
  }
  const result = await fuzz({
    count: given.count!,
    seed: given.seed!,
    seconds: given.seconds,
    only: given.only,
    progress: (done, rss) => process.stderr.write(`${done} cases, ${mega(rss)}\n`),
  });
  const { count, seconds, rss, kinds, statuses, findings } = result;
  process.stdout.write(
    `${count} cases in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)}/s; RSS ${mega(rss.start)} at the start, ${mega(rss.tenth)} at a tenth, ${mega(rss.end)} at the end\n`,
  );
  process.stdout.write(`${JSON.stringify({ kinds, statuses })}\n`);
  for (const finding of findings) process.stdout.write(`\nFOUND ${finding}\n`);
  process.stdout.write(`\n${findings.length} findings\n`);
  return findings.length === 0 ? 0 : 1;
}
