import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eachOf } from '../examples/demo/flow.ts';
import { startLedger } from '../harness/network.ts';
import { type BenchAgent, startBenchAgent } from './agent.ts';
import { startFlood } from './enemy.ts';
import { printTable } from './reference.ts';

const HELP = `./flexid bench fairness [--quick]

How long an honest user waits (p95) with and without somebody who takes all that there is, each pair in one run: unfinished requests, a webhook and peers that
never answer, credential definitions, registries, credentials of a table, wrong wallet keys, huge SD-JWTs. Loopback only; up to 6 minutes, with --quick about one.
`;
/** The whole run ends by then, with what there is. */
const LIMIT_MS = 5.5 * 60_000;
const HANDSHAKE = { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] };

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers is as free as JSON
type Body = any;
type Call = (method: string, path: string, body?: unknown) => Promise<{ status: number; body: Body }>;
interface Row {
  readonly enemy: string;
  readonly honest: string;
  readonly quiet: number;
  readonly under: number;
  readonly failed: number;
}

/** Waits of one honest deed, one after the other. */
async function waits(count: number, deed: () => Promise<boolean>): Promise<{ p95: number; failed: number }> {
  const times: number[] = [];
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const before = performance.now();
    const went = await Promise.race([deed().catch(() => false), pause(10_000, false)]);
    times.push(performance.now() - before);
    if (!went) failed++;
    await pause(20);
  }
  times.sort((a, b) => a - b);
  return { p95: times[Math.min(times.length - 1, Math.floor(times.length * 0.95))]!, failed };
}

/** Takes requests: tells of each, and answers or does not. */
async function receiver(answers: boolean, undo: (() => unknown)[]) {
  const received = new Set<(text: string) => void>();
  const server = createServer({ requestTimeout: 0 }, async (incoming, response) => {
    const text = `${incoming.url} ${Buffer.concat(await incoming.toArray().catch(() => [])).toString('latin1')}`;
    if (answers) response.writeHead(200).end();
    for (const one of received) one(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const next = (matches: (text: string) => boolean): Promise<boolean> =>
    new Promise((resolve) => {
      const look = (text: string): void => {
        if (!matches(text)) return;
        received.delete(look);
        resolve(true);
      };
      received.add(look);
    });
  return { port: (server.address() as AddressInfo).port, next };
}

/** Half-open requests from an address of their own, and some more each second until it is stopped. */
async function halfOpen(port: number, count: number): Promise<() => void> {
  const sockets = new Set<Socket>();
  const head = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/didcomm-envelope-enc\r\ncontent-length: 1000\r\n\r\n{';
  const open = async (): Promise<void> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.resume();
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {});
    socket.write(head);
  };
  await eachOf(Array.from({ length: count }), 100, open);
  const more = setInterval(() => void open(), 50);
  return () => {
    clearInterval(more);
    for (const socket of sockets) socket.destroy();
  };
}

/** Repeats a deed, so many at a time, until it is stopped. */
function again(parallel: number, deed: () => Promise<unknown>): () => Promise<void> {
  let stopped = false;
  const loops = Array.from({ length: parallel }, async () => {
    while (!stopped) await deed().catch(() => pause(50));
  });
  return async () => {
    stopped = true;
    await Promise.race([Promise.all(loops), pause(5000)]);
  };
}

/** Tenants with their calls. */
function callers(agent: BenchAgent, undo: (() => unknown)[]) {
  const agents = new Agent({ keepAlive: true, maxSockets: 64 });
  undo.push(() => agents.destroy());
  const callWith =
    (headers: Record<string, string>): Call =>
    (method, path, body) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? '' : JSON.stringify(body);
        const going = request(
          `${agent.admin}${path}`,
          { method, agent: agents, headers: { 'content-type': 'application/json', ...headers } },
          async (got) => {
            const answer = Buffer.concat(await got.toArray()).toString();
            resolve({ status: got.statusCode!, body: answer.startsWith('{') ? JSON.parse(answer) : answer });
          },
        );
        going.on('error', reject);
        going.end(text);
      });
  const operator = callWith({ 'x-api-key': agent.key });
  const tenant = async (name: string, more: object = {}): Promise<{ id: string; call: Call; headers: Record<string, string> }> => {
    const { body } = await operator('POST', '/multitenancy/wallet', { wallet_name: name, label: name, ...more });
    const headers = { authorization: `Bearer ${body.token}`, 'x-api-key': agent.key };
    return { id: body.wallet_id, call: callWith(headers), headers };
  };
  return { tenant };
}

/** Posts what is no envelope: it is answered at once. */
const post = async (agent: BenchAgent): Promise<boolean> => {
  const answer = await fetch(agent.inbound, {
    method: 'POST',
    headers: { 'content-type': 'application/didcomm-envelope-enc' },
    body: '{}',
  });
  return answer.status === 400;
};
/** What others wait for while one takes all that there is: see `HELP`. */
export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({ args: [...args], options: { quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(HELP);
    return [];
  }
  const quick = values.quick === true;
  const [samples, scale] = quick ? [15, 0.05] : [60, 1];
  const until = performance.now() + LIMIT_MS;
  const undo: (() => unknown)[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const rows: Row[] = [];
  try {
    const ledger = await startLedger(folder);
    undo.push(() => ledger.program.stop());
    const agent = await startBenchAgent(undefined, [
      ...['--multitenant', '--multitenant-admin', '--jwt-secret', 'bench only', '--auto-ping-connection'],
      ...ledger.flags,
      '--sponsor-mnemonic',
      ledger.sponsor,
    ]);
    undo.push(() => agent.stop());
    const { tenant } = callers(agent, undo);
    const hooked = (url: string): object => ({ wallet_webhook_urls: [url], wallet_dispatch_type: 'default' });
    const [lively, silent] = [await receiver(true, undo), await receiver(false, undo)];
    const honest = await tenant('honest', hooked(`http://127.0.0.1:${lively.port}`));
    const enemy = await tenant('enemy', hooked(`http://127.0.0.1:${silent.port}`));

    const webhook = async (): Promise<boolean> => {
      const alias = randomUUID();
      const notified = lively.next((text) => text.includes(alias));
      await honest.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, alias });
      return await notified;
    };
    const live = async (): Promise<boolean> => (await honest.call('GET', '/connections?limit=1')).status === 200;
    const invited = async (of: Call, host: string, port: number): Promise<void> => {
      const path = `/peer/${randomUUID()}`;
      const service = { id: '#inline', type: 'did-communication', recipientKeys: [key], serviceEndpoint: `http://${host}:${port}${path}` };
      const invitation = {
        '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
        '@id': randomUUID(),
        label: 'peer',
        ...HANDSHAKE,
        services: [service],
      };
      const notified = port === lively.port ? lively.next((text) => text.startsWith(path)) : undefined;
      await of('POST', '/out-of-band/receive-invitation?auto_accept=true', invitation);
      await notified;
    };
    const { body: sample } = await honest.call('POST', '/out-of-band/create-invitation', HANDSHAKE);
    const key = sample.invitation.services[0].recipientKeys[0] as string;
    const mail = async (): Promise<boolean> => {
      await invited(honest.call, '127.0.0.1', lively.port);
      return true;
    };

    const pair = async (name: string, title: string, deed: () => Promise<boolean>, begin: () => Promise<() => unknown>): Promise<void> => {
      if (performance.now() > until) return void process.stdout.write(`left out, the time is over: ${name}\n`);
      await waits(5, deed);
      const quiet = await waits(samples, deed);
      const end = await begin();
      try {
        const under = await waits(samples, deed);
        rows.push({ enemy: name, honest: title, quiet: quiet.p95, under: under.p95, failed: under.failed });
      } finally {
        await end();
      }
    };
    const size = (count: number): number => Math.max(1, Math.round(count * scale));

    await pair(
      `${size(5000)} half-open requests, 20 more a second`,
      'message',
      () => post(agent),
      () => halfOpen(agent.inboundPort, size(5000)),
    );
    await pair(`a webhook that never answers, ${size(10_000)} events`, 'webhook', webhook, async () => {
      // an invitation tells of itself and of its connection
      await eachOf(
        Array.from({ length: size(5000) }),
        16,
        async () => void (await enemy.call('POST', '/out-of-band/create-invitation', HANDSHAKE)),
      );
      return () => {};
    });
    await pair(`${size(1000)} peers that never answer`, 'mail', mail, async () => {
      await eachOf(Array.from({ length: size(1000) }), 16, (_, i) => invited(enemy.call, `127.1.${i >> 8}.${i & 255 || 1}`, silent.port));
      return () => {};
    });
    const offer = await offers(honest.call);
    await pair('a credential definition in the making', 'offer', offer.make, async () => again(1, offer.define));
    await pair('registries of 10,000 entries in the making', 'offer', offer.make, async () => again(1, offer.register));
    const other = await tenant('other');
    const othersCall = async (): Promise<boolean> => (await other.call('GET', '/connections?limit=1')).status === 200;
    await pair('credentials of a table of 1,000 rows', "another's call", othersCall, () => offer.batch(1000));
    const locked = await tenant('locked', { wallet_key: 'a passphrase', key_management_mode: 'unmanaged' });
    const flood = (path: string, headers: Record<string, string>, body: unknown, loops: number, atOnce: number) => async () => {
      const end = await startFlood({ url: `${agent.admin}${path}`, headers, body, loops, atOnce });
      return async () => void process.stdout.write(`${await end()} calls of ${path} were answered meanwhile\n`);
    };
    const wrong = flood(`/multitenancy/wallet/${locked.id}/token`, { 'x-api-key': agent.key }, { wallet_key: 'another' }, 1, 20);
    await pair('20 wrong wallet keys at once', 'call', live, wrong);
    const payload = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`n${i}`, i]));
    const did = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
    const large = flood('/wallet/sd-jwt/sign', enemy.headers, { did, payload }, 4, 1);
    await pair('SD-JWTs of 50,000 members, 4 at once', 'call', live, large);
    process.stdout.write('p95 of an honest user, ms, one agent on SQLite; both columns of a line in one run\n');
    printTable(
      ['enemy', 'honest', 'quiet', 'under it', 'ratio', 'failed'],
      rows.map((row) => [row.enemy, row.honest, row.quiet, row.under, row.under / row.quiet, String(row.failed)]),
    );
    return rows;
  } finally {
    while (undo.length > 0) await undo.pop()!();
  }
}

/** A schema and a definition of one attribute, offers of it, further definitions of many attributes, and some with registries. */
async function offers(call: Call): Promise<{
  make: () => Promise<boolean>;
  define: () => Promise<unknown>;
  register: () => Promise<unknown>;
  /** Offers a credential for each of so many rows. @returns what ends that */
  batch: (rows: number) => Promise<() => Promise<unknown>>;
}> {
  const { body: made } = await call('POST', '/wallet/did/create', { method: 'algo' });
  const did = made.result.did as string;
  await call('POST', `/wallet/did/public?did=${encodeURIComponent(did)}`);
  const schemaOf = async (attrNames: string[]): Promise<string> => {
    const schema = { issuerId: did, name: `s${attrNames.length}`, version: '1.0', attrNames };
    const { body } = await call('POST', '/anoncreds/schema', { schema });
    return body.schema_state.schema_id;
  };
  const defined = async (schemaId: string, tag: string, options: object = {}): Promise<string> => {
    const { body } = await call('POST', '/anoncreds/credential-definition', {
      credential_definition: { issuerId: did, schemaId, tag },
      options,
    });
    return body.credential_definition_state.credential_definition_id;
  };
  const small = await schemaOf(['name']);
  const id = await defined(small, 'first');
  const large = await schemaOf(Array.from({ length: 60 }, (_, i) => `a${i}`));
  const attributes = [{ name: 'name', value: 'Ada' }];
  return {
    make: async () => {
      const { status, body } = await call('POST', '/issue-credential-2.0/create-offer', {
        filter: { anoncreds: { cred_def_id: id } },
        credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
      });
      return status === 200 && body.state === 'offer-sent' && typeof body.thread_id === 'string';
    },
    define: () => defined(large, randomUUID()),
    async batch(rows) {
      const csv = `name\n${Array.from({ length: rows }, (_, i) => `person ${i}\n`).join('')}`;
      const { body } = await call('POST', '/credential-batches', { csv, cred_def_id: id });
      if (body.state !== 'running') throw new Error(`the batch does not run: ${JSON.stringify(body)}`);
      return () => call('POST', `/credential-batches/${body.batch_id}/cancel`);
    },
    register: () => defined(small, randomUUID(), { support_revocation: true, revocation_registry_size: 10_000 }),
  };
}
