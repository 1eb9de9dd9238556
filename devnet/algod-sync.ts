import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { deployGroup } from './genesis.ts';
import { Refused } from './ledger.ts';
import type { Account } from './state.ts';
import type { Chain } from './testing.ts';
import { splitGroup } from './wire.ts';

/** A real algod as the tests of the contract use a chain: each call waits for its answer, as it does with the dev ledger in the same process. */

/** Runs in a worker: one algod, started by a message, and HTTP requests to it. */
const WORKER = `
const { parentPort } = require('node:worker_threads');
let node;
parentPort.on('message', async ({ port, flag, start, request }) => {
  let answer;
  try {
    if (start) {
      const { startProcess, genesisDocument } = await import(start.module);
      node = await startProcess(start.path, genesisDocument(start.salt, start.consensus));
      answer = { url: node.url };
    } else if (request) {
      const { url, ...init } = request;
      const got = await fetch(url, init);
      answer = { status: got.status, body: new Uint8Array(await got.arrayBuffer()) };
    } else {
      await node?.stop();
      answer = {};
    }
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  port.postMessage(answer);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
});
`;

interface Answer {
  error?: string;
  url?: string;
  status?: number;
  body?: Uint8Array;
}

const TOKEN = 'a'.repeat(64);

/** Starts an algod at `path` with the registry deployed, and waits for it. The node ends with the process. */
export const algodChain = (path: string, consensus: string): Chain => {
  const worker = new Worker(WORKER, { eval: true });
  worker.unref();
  const ask = (message: object): Answer => {
    const { port1, port2 } = new MessageChannel();
    const flag = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage({ ...message, flag, port: port2 }, [port2]);
    Atomics.wait(flag, 0, 0);
    const answer = receiveMessageOnPort(port1)?.message as Answer;
    port1.close();
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  };
  const { url } = ask({ start: { module: new URL('./algod.ts', import.meta.url).href, path, salt: '', consensus } });
  const stop = (): void => {
    ask({});
  };
  process.once('exit', stop);

  const request = (route: string, body?: Uint8Array): Answer =>
    ask({
      request: { url: `${url}${route}`, method: body ? 'POST' : 'GET', headers: { 'x-algo-api-token': TOKEN }, ...(body && { body }) },
    });
  const get = <T>(route: string): T | undefined => {
    const { status, body } = request(route);
    return status === 200 ? (JSON.parse(new TextDecoder().decode(body)) as T) : undefined;
  };
  const submit = (group: Uint8Array): string => {
    const { status, body } = request('/v2/transactions', group);
    const { message = '', txId = '' } = JSON.parse(new TextDecoder().decode(body)) as { message?: string; txId?: string };
    if (status !== 200) throw new Refused(message.replace(/^TransactionPool\.Remember: /, ''));
    return txId;
  };
  const parameters = get<{ 'genesis-hash': string; 'genesis-id': string }>('/v2/transactions/params') as Record<string, string>;
  const genesis = {
    id: parameters['genesis-id'] as string,
    hash: Uint8Array.from(Buffer.from(parameters['genesis-hash'] as string, 'base64')),
    timestamp: 0n,
    allocations: [],
    document: '',
  };
  for (const txn of splitGroup(deployGroup(genesis, { grouped: false }))) submit(txn);
  const round = (): bigint => BigInt((get<{ 'last-round': number }>('/v2/status') as { 'last-round': number })['last-round']);
  const account = (address: string): { balance: bigint; minimum: bigint } => {
    const found = get<{ amount: number; 'min-balance': number }>(`/v2/accounts/${address}`);
    return { balance: BigInt(found?.amount ?? 0), minimum: BigInt(found?.['min-balance'] ?? 0) };
  };
  return {
    genesis,
    submit,
    round,
    time: (at) => BigInt(get<{ block: { ts: number } }>(`/v2/blocks/${at}?header-only=true`)?.block.ts ?? 0),
    cost: () => -1,
    created: (txid) => {
      const found = get<{ 'application-index'?: number }>(`/v2/transactions/pending/${txid}`)?.['application-index'];
      return found === undefined ? undefined : BigInt(found);
    },
    box: (app, name) => {
      const found = get<{ value: string }>(
        `/v2/applications/${app}/box?name=${encodeURIComponent(`b64:${Buffer.from(name).toString('base64')}`)}`,
      );
      return found && Uint8Array.from(Buffer.from(found.value, 'base64'));
    },
    account: (address) => account(address) as unknown as Account,
    surplus: (address) => {
      const { balance, minimum } = account(address);
      return balance - minimum;
    },
    plant: () => {
      throw new Error('no box can be planted on a real node');
    },
  };
};
