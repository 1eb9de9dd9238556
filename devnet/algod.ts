import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import algosdk from 'algosdk';
import { createFaults, type Fault } from './faults.ts';
import { deployGroup, faucetGroup, SPONSOR_MNEMONIC, SPONSOR_SEED } from './genesis.ts';
import type { Genesis } from './ledger.ts';
import { type Devnet, TOKEN } from './main.ts';
import { OPEN_POOL, type Pool } from './node.ts';
import { splitGroup } from './wire.ts';

/**
 * A real algod in the place of the dev ledger: the same exports, the same genesis accounts, the same faults, so that tests that know the dev ledger run on it. It is a
 * node of one in DevMode, in a temporary folder; a proxy in front of it plays the faults. It has no lag, no journal and no blocks by a timer.
 */

const SPECS = 'https://github.com/algorandfoundation/specs/tree/';
/** Consensus versions by name; another text is taken as it is. */
const CONSENSUS: Readonly<Record<string, string>> = {
  v40: `${SPECS}236dcc18c9c507d794813ab768e467ea42d1b4d9`,
  v41: `${SPECS}953304de35264fc3ef91bcd05c123242015eeaed`,
  v42: `${SPECS}268b63433a907455d439995bf916f6b296018f4f`,
};
const START_MS = 60_000;

const freePort = async (): Promise<number> => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** The genesis document: the dev ledger's sponsor has all the money, the two accounts of the protocol have a little. */
export const genesisDocument = (salt: string, consensus: string): string => {
  const named = (name: string): string =>
    algosdk.encodeAddress(Uint8Array.from({ length: 32 }, (_none, i) => name.charCodeAt(i % name.length)));
  const sponsor = algosdk.mnemonicToSecretKey(SPONSOR_MNEMONIC).addr.toString();
  return JSON.stringify({
    alloc: [
      { addr: sponsor, comment: 'Sponsor', state: { algo: 4_000_000_000_000_000 } },
      { addr: named('rewards'), comment: 'RewardsPool', state: { algo: 100_000_000_000, onl: 2 } },
      { addr: named('sink'), comment: 'FeeSink', state: { algo: 1_000_000, onl: 2 } },
    ],
    comment: salt,
    devmode: true,
    fees: named('sink'),
    rwd: named('rewards'),
    id: 'v1',
    network: 'flexid-dev',
    proto: CONSENSUS[consensus] ?? consensus,
    timestamp: 1_767_225_600,
  });
};

/** A running algod. */
export interface Process {
  client: algosdk.Algodv2;
  url: string;
  stop(): Promise<void>;
}

/** Starts an algod in a temporary folder and waits until it answers. */
export const startProcess = async (path: string, document: string): Promise<Process> => {
  const folder = mkdtempSync(join(tmpdir(), 'algod-'));
  const port = await freePort();
  const file = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  file('genesis.json', document);
  file('algod.token', TOKEN);
  file('algod.admin.token', TOKEN);
  file(
    'config.json',
    JSON.stringify({
      Version: 38,
      EndpointAddress: `127.0.0.1:${port}`,
      DNSBootstrapID: '',
      NetAddress: '',
      GossipFanout: 0,
      EnableDeveloperAPI: true,
    }),
  );
  const child: ChildProcess = spawn(path, ['-d', folder, '-g', join(folder, 'genesis.json')], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const url = `http://127.0.0.1:${port}`;
  const client = new algosdk.Algodv2(TOKEN, 'http://127.0.0.1', port);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(hard);
    rmSync(folder, { recursive: true, force: true });
  };
  const until = Date.now() + START_MS;
  for (;;) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`algod ended: ${readFileSync(join(folder, 'node.log'), 'utf8').slice(-500)}`);
    if (
      await client
        .status()
        .do()
        .then(
          () => true,
          () => false,
        )
    )
      return { client, url, stop };
    if (Date.now() > until) {
      await stop();
      throw new Error('algod does not answer');
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** The genesis as the dev ledger's own groups are made for it. */
const genesisOf = async (client: algosdk.Algodv2): Promise<Genesis> => {
  const { genesisHash, genesisID } = await client.getTransactionParams().do();
  return { id: genesisID as string, hash: genesisHash as Uint8Array, timestamp: 0n, allocations: [], document: '' };
};

const bodyOf = async (message: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

const REFUSALS: Record<NonNullable<Pool['refuse']>, string> = {
  full: 'TransactionPool.checkPendingQueueSize: transaction pool has reached capacity',
  stopping: 'transaction pool is shutting down',
  starting: 'TransactionPool.ingest: no pending block evaluator',
};

/** What the proxy does beside passing on: faults, what the pool asks, boxes that lie, and blocks for those who wait for one. */
const proxyOf = ({ client, url }: Process, genesis: Genesis) => {
  const faults = createFaults();
  /** Boxes as a lying node would show them, by application and hexadecimal name. */
  const lies = new Map<string, Buffer | null>();
  let pool: Pool = OPEN_POOL;

  const lastRound = async (): Promise<bigint> => (await client.status().do()).lastRound;
  const pay = async (address: string, amount: bigint): Promise<string> =>
    (await client.sendRawTransaction(faucetGroup(genesis, await lastRound(), address, amount)).do()).txid;
  const self = algosdk.mnemonicToSecretKey(SPONSOR_MNEMONIC).addr.toString();
  const advance = async (rounds: number): Promise<void> => {
    for (let i = 0; i < rounds; i++) await pay(self, 0n);
  };

  const own = async (method: string, path: string, body: Buffer): Promise<unknown> => {
    const value = body.length > 0 ? JSON.parse(body.toString()) : {};
    if (path === '/devnet/faults' && method === 'POST') faults.add(value as Fault);
    else if (path === '/devnet/faults') {
      faults.clear();
      pool = OPEN_POOL;
    } else if (path === '/devnet/pool') pool = { ...OPEN_POOL, ...value };
    else if (path === '/devnet/advance') await advance(value.rounds);
    else if (path === '/devnet/fund') return { txId: await pay(value.address, BigInt(value.amount)) };
    else if (path === '/devnet/corrupt')
      lies.set(
        `${value.app}:${Buffer.from(value.name, 'base64').toString('hex')}`,
        value.value === null ? null : Buffer.from(value.value, 'base64'),
      );
    else throw new RangeError(`${method} ${path} is not known on a real node`);
    return {};
  };

  const submit = async (path: string, body: Buffer): Promise<{ status: number; json: unknown } | undefined> => {
    const refused = (message: string) => ({ status: 400, json: { message } });
    const reject = faults.take('reject', path);
    if (reject) return refused(reject.message ?? 'TransactionPool.Remember: rejected by a fault');
    const first = (): algosdk.Transaction => algosdk.decodeSignedTransaction(splitGroup(body)[0] as Uint8Array).txn;
    if (faults.take('hold', path)) return { status: 200, json: { txId: first().txID() } };
    if (faults.take('expire', path)) {
      await advance(Number(first().lastValid - (await lastRound())) + 1);
      return { status: 200, json: { txId: first().txID() } };
    }
    if (pool.refuse) return refused(REFUSALS[pool.refuse]);
    for (const part of pool.feePerByte > 0 ? splitGroup(body) : []) {
      const { fee } = algosdk.decodeSignedTransaction(part).txn;
      const least = pool.feePerByte * part.length;
      if (fee < BigInt(least))
        return refused(
          `TransactionPool.Remember: fee {${fee}} below threshold ${least} (${pool.feePerByte} per byte * ${part.length} bytes)`,
        );
    }
    return undefined;
  };

  const lieAt = (target: URL): Buffer | null | undefined => {
    const [, app] = /^\/v2\/applications\/(\d+)\/box$/.exec(target.pathname) ?? [];
    const name = target.searchParams.get('name')?.replace(/^b64:/, '');
    return app === undefined || !name ? undefined : lies.get(`${app}:${Buffer.from(name, 'base64').toString('hex')}`);
  };

  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = new URL(message.url ?? '/', url);
    const { pathname: path } = target;
    const method = message.method ?? 'GET';
    const json = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const body = await bodyOf(message);
    if (path.startsWith('/devnet/')) {
      json(200, await own(method, path, body));
      return;
    }
    if (faults.take('drop', path)) {
      message.socket.destroy();
      return;
    }
    const delay = faults.take('delay', path);
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay.ms ?? 1000));
    const status = faults.take('status', path);
    if (status) return json(status.status ?? 503, { message: status.message ?? 'a fault' });
    const sending = method === 'POST' && path === '/v2/transactions';
    const refused = sending ? await submit(path, body) : undefined;
    if (refused) return json(refused.status, refused.json);
    const lie = lieAt(target);
    if (lie === null) return json(404, { message: 'box not found' });
    if (lie) return json(200, { name: target.searchParams.get('name')?.replace(/^b64:/, ''), round: 1, value: lie.toString('base64') });
    const [, waited] = /^\/v2\/status\/wait-for-block-after\/(\d+)$/.exec(path) ?? [];
    if (waited !== undefined && !pool.silent && (await lastRound()) <= BigInt(waited)) await advance(1);
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = message.headers;
    const passed = await fetch(target, { method, headers: headers as Record<string, string>, ...(body.length > 0 && { body }) });
    let bytes = Buffer.from(await passed.arrayBuffer());
    // What a transaction names is the ledger's again.
    if (sending && passed.ok)
      for (const key of lies.keys()) if (body.includes(Buffer.from(key.split(':')[1] ?? '', 'hex'))) lies.delete(key);
    if (path === '/v2/transactions/params' && pool.feePerByte > 0)
      bytes = Buffer.from(bytes.toString().replace('"fee":0', `"fee":${pool.feePerByte}`));
    if (faults.take('drop-after', path)) message.socket.destroy();
    else response.writeHead(passed.status, { 'content-type': passed.headers.get('content-type') ?? 'application/json' }).end(bytes);
  };

  return createServer((message, response) => {
    answer(message, response).catch((error: unknown) => {
      const status = error instanceof RangeError || error instanceof SyntaxError ? 400 : 500;
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message: String(error) }));
    });
  });
};

/** Starts an algod at `path` with the registry deployed. `consensus` is v40, v41, v42 or what the genesis document names. @throws Error if it does not start */
export const startAlgod = async (path: string, { salt = '', consensus = 'v41' } = {}): Promise<Devnet> => {
  const node = await startProcess(path, genesisDocument(salt, consensus));
  try {
    const genesis = await genesisOf(node.client);
    const [create, fund] = splitGroup(deployGroup(genesis, { grouped: false })) as [Uint8Array, Uint8Array];
    const { txid } = await node.client.sendRawTransaction(create).do();
    const { applicationIndex } = await algosdk.waitForConfirmation(node.client, txid, 4);
    await node.client.sendRawTransaction(fund).do();
    const server = proxyOf(node, genesis);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      token: TOKEN,
      appId: Number(applicationIndex),
      network: 'custom',
      genesisHash: Buffer.from(genesis.hash).toString('base64'),
      sponsor: { mnemonic: SPONSOR_MNEMONIC, seed: SPONSOR_SEED },
      close: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await node.stop();
      },
    };
  } catch (error) {
    await node.stop();
    throw error;
  }
};
