import { base64 } from '@scure/base';
import { same } from './bytes.ts';
import { DidAlgoError } from './errors.ts';

/** A node: its address, its API token, and the genesis hash (base64) that it must have, which is built in for all networks but `custom`. */
export interface AlgodOptions {
  url: string;
  token?: string;
  genesisHash?: string;
}

export type Network = 'mainnet' | 'testnet' | 'betanet' | 'custom';

export interface NodeOptions {
  networks: Partial<Record<Network, AlgodOptions>>;
  /** Milliseconds that a request to a node may take; 10,000 if absent. */
  timeoutMs?: number;
}

const GENESIS: Record<Network, string | undefined> = {
  mainnet: 'wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=',
  testnet: 'SGO1GKSzyE7IEPItTxCByw9x8FmnrCDexi9/cOUJOiI=',
  betanet: 'mFgazF+2uRS1tMiL9dsj01hJGySEmPN28B/TjjvpVW0=',
  custom: undefined,
};
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 131_072;
const VERIFIED_MS = 60_000;

const unavailable = (reason: string, cause?: unknown): DidAlgoError => new DidAlgoError('ledger-unavailable', reason, { cause });

/** The text of an answer of bounded length. */
const textOf = async (response: Response): Promise<string> => {
  const tooLong = (): DidAlgoError => unavailable("the node's answer is too long");
  // not every environment of Credo streams
  if (typeof response.body?.getReader !== 'function') {
    const text = await response.text();
    if (text.length > MAX_ANSWER) throw tooLong();
    return text;
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let length = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.length;
    if (length > MAX_ANSWER) {
      await reader.cancel();
      throw tooLong();
    }
    text += decoder.decode(value, { stream: true });
  }
};

/** Reads of boxes, over algod's REST API. */
export interface Nodes {
  /** The value of a box; undefined where there is none. @throws DidAlgoError `network-unknown`, `ledger-unavailable` */
  box(network: string, application: string, name: Uint8Array, fetch: typeof globalThis.fetch): Promise<Uint8Array | undefined>;
}

/** @throws Error with the reason, where the options cannot be used */
export const nodesOf = ({ networks, timeoutMs = TIMEOUT_MS }: NodeOptions): Nodes => {
  if (!(timeoutMs > 0)) throw new Error('timeoutMs is a number of milliseconds');
  for (const [name, node] of Object.entries(networks)) {
    if (!Object.hasOwn(GENESIS, name)) throw new Error(`a did:algo has no network ${name}`);
    if (!/^https?:\/\/[^/]/.test(String(node?.url))) throw new Error(`networks.${name}.url is not an http or https URL`);
  }
  const verifiedUntil = new Map<string, number>();

  const get = async (
    node: AlgodOptions,
    path: string,
    fetch: typeof globalThis.fetch,
  ): Promise<{ found: boolean; answer: Record<string, unknown> }> => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    let status: number;
    let text: string;
    try {
      const response = await fetch(node.url.replace(/\/+$/, '') + path, {
        headers: node.token ? { 'X-Algo-API-Token': node.token } : {},
        redirect: 'error',
        signal: controller.signal,
      });
      status = response.status;
      text = await textOf(response);
    } catch (error) {
      if (error instanceof DidAlgoError) throw error;
      throw unavailable(controller.signal.aborted ? 'the node did not answer in time' : 'the node cannot be reached', error);
    } finally {
      clearTimeout(timer);
    }
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      // reported below
    }
    const members = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : undefined;
    if ((status !== 200 && status !== 404) || members === undefined)
      throw unavailable(`the node answered ${status} ${String(members?.message ?? '').slice(0, 200)}`.trimEnd());
    return { found: status === 200, answer: members };
  };

  const verify = async (network: Network, node: AlgodOptions, fetch: typeof globalThis.fetch): Promise<void> => {
    const expected = node.genesisHash ?? GENESIS[network];
    if (expected === undefined || (verifiedUntil.get(network) ?? 0) > Date.now()) return;
    const { answer } = await get(node, '/v2/transactions/params', fetch);
    const found = String(answer['genesis-hash']).slice(0, 100);
    if (found !== expected) throw unavailable(`the node serves genesis ${found}, expected ${expected}`);
    verifiedUntil.set(network, Date.now() + VERIFIED_MS);
  };

  return {
    box: async (network, application, name, fetch) => {
      const node = networks[network as Network];
      if (node === undefined) throw new DidAlgoError('network-unknown', `no algod is configured for the network ${network}`);
      await verify(network as Network, node, fetch);
      const query = encodeURIComponent(`b64:${base64.encode(name)}`);
      const { found, answer } = await get(node, `/v2/applications/${application}/box?name=${query}`, fetch);
      if (!found) {
        if (/box not found|application does not exist/i.test(String(answer.message))) return undefined;
        throw unavailable('the node does not know the path of a box: is its URL right?');
      }
      try {
        if (!same(base64.decode(String(answer.name)), name)) throw new Error('another box');
        return base64.decode(String(answer.value));
      } catch (error) {
        throw unavailable("the node's answer is not the box", error);
      }
    },
  };
};
