import { createHash, generateKeyPairSync, sign as signEd25519 } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { base58 } from '@scure/base';
import algosdk from 'algosdk';
import { startAlgod } from '../../devnet/algod.ts';
import { type Devnet, type DevnetOptions, startDevnet as startDevLedger } from '../../devnet/main.ts';
import { type AlgorandConfig, algorandLedger } from '../../src/adapters/algorand/algorand.ts';
import type { DidDocument, Ledger, LedgerSigner, LedgerWrite, SignedWrite, WriteOutcome } from '../../src/ports/ledger.ts';

/** Support for tests: a dev ledger, issuers with keys, and objects of the sizes that AnonCreds objects have. */

export interface Issuer {
  publicKey: Uint8Array;
  sign: LedgerSigner;
}

/** An issuer with a new key. Its signer refuses every key but its own. */
export const newIssuer = (): Issuer => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
  return {
    publicKey: raw,
    sign: async (verkey, bytes) => {
      if (verkey !== base58.encode(raw)) throw new Error(`asked to sign with ${verkey}`);
      return Uint8Array.from(signEd25519(null, bytes, privateKey));
    },
  };
};

export const configOf = (devnet: Devnet, change: Partial<AlgorandConfig> = {}): AlgorandConfig => ({
  algodUrl: devnet.url,
  token: devnet.token,
  appId: devnet.appId,
  network: devnet.network,
  genesisHash: devnet.genesisHash,
  sponsorMnemonic: devnet.sponsor.mnemonic,
  ...change,
});

/** The time of a ledger's last block, in unix seconds: it runs ahead of the machine's where blocks came within a second. */
export async function blockTime({ url, token }: Devnet): Promise<number> {
  const algod = new algosdk.Algodv2(token, url);
  const { lastRound } = await algod.status().do();
  return Number((await algod.block(lastRound).headerOnly(true).do()).block.header.timestamp);
}

/** An admin call of the dev ledger. */
export const admin = async (devnet: Devnet, method: string, path: string, body?: unknown): Promise<void> => {
  const headers = { 'x-algo-api-token': devnet.token };
  const response = await fetch(`${devnet.url}/devnet/${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
};

export const documentOf = (did: string, extra: Record<string, unknown> = {}): DidDocument => ({
  '@context': ['https://www.w3.org/ns/did/v1'],
  id: did,
  service: [
    {
      id: `${did}#didcomm`,
      type: 'did-communication',
      serviceEndpoint: 'https://agent.example',
      priority: 0,
      recipientKeys: [`${did}#key-1`],
    },
  ],
  ...extra,
});

/** A node in front of a dev ledger: `hook` runs before a request goes on, and may answer it itself. */
export const between = async (
  devnet: Devnet,
  hook: (path: string) => Promise<{ status: number; body: string | Uint8Array } | undefined>,
): Promise<{ url: string; close(): Promise<void> }> => {
  const server = createServer(async (request, response) => {
    try {
      const path = request.url ?? '/';
      const own = await hook(path);
      if (own) {
        response.writeHead(own.status).end(own.body);
        return;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(devnet.url + path, {
        method: request.method,
        headers: { 'x-algo-api-token': String(request.headers['x-algo-api-token']) },
        ...(request.method === 'POST' && { body: Buffer.concat(chunks) }),
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' });
      response.end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

/** Decimal digits that do not compress to less than their information: a number of `bits` bits. */
const number = (seed: string, bits = 2048): string => {
  let value = 0n;
  for (let i = 0; i * 256 < bits; i++) value = (value << 256n) | BigInt(`0x${createHash('sha256').update(`${seed}/${i}`).digest('hex')}`);
  return (value | (1n << BigInt(bits - 1))).toString();
};

export const schemaOf = (did: string, name = 'degree'): Record<string, unknown> => ({
  issuerId: did,
  name,
  version: '1.0',
  attrNames: Array.from({ length: 10 }, (_none, i) => `attribute_${i}`),
});

/** A credential definition of ten attributes: 9.6 kB, or 12.7 kB with the revocation key; of 3,072 bits and 125 attributes it has 120 kB, as the largest do. */
export const credDefOf = (did: string, schemaId: string, revocation = false, attributes = 10, bits = 2048): Record<string, unknown> => ({
  issuerId: did,
  schemaId,
  type: 'CL',
  tag: 'default',
  value: {
    primary: {
      n: number('n', bits),
      s: number('s', bits),
      r: Object.fromEntries(Array.from({ length: attributes + 1 }, (_none, i) => [`attribute_${i}`, number(`r${i}`, bits)])),
      rctxt: number('rctxt', bits),
      z: number('z', bits),
    },
    ...(revocation && {
      revocation: Object.fromEntries(
        ['g', 'g_dash', 'h', 'h0', 'h1', 'h2', 'htilde', 'h_cap', 'u', 'pk', 'y'].map((name) => [name, `1 ${number(name, 768)}`]),
      ),
    }),
  },
});

export const objectWrite = (ledger: Ledger, did: string, type: 'SCHEMA' | 'CLAIM_DEF', object: Record<string, unknown>): LedgerWrite => ({
  kind: 'object-put',
  id: ledger.idOf(did, type, object),
  did,
  type,
  object,
});

let operations = 0;

/** Plans a write and signs the whole of it. */
export const prepare = async (ledger: Ledger, write: LedgerWrite, operation: string, account: LedgerSigner) => {
  const plan = await ledger.plan(write, operation);
  if (plan.state !== 'planned') return plan;
  const { signed } = await ledger.sign(plan.planned, { sponsor: true, account });
  if (signed === undefined) throw new Error('a signature is missing');
  return { state: 'signed' as const, signed, cost: plan.cost };
};

/** Prepares a write that must not be done or waiting. */
export const prepared = async (
  ledger: Ledger,
  write: LedgerWrite,
  issuer: Issuer,
  operation = `operation-${operations++}`,
): Promise<SignedWrite> => {
  const result = await prepare(ledger, write, operation, issuer.sign);
  if (result.state !== 'signed') throw new Error(`not signed but ${JSON.stringify(result)}`);
  return result.signed;
};

export const perform = async (ledger: Ledger, write: LedgerWrite, issuer: Issuer): Promise<WriteOutcome> =>
  ledger.send(await prepared(ledger, write, issuer));

/** A DID that is on the ledger. */
export const published = async (ledger: Ledger): Promise<{ did: string; issuer: Issuer }> => {
  const issuer = newIssuer();
  const did = ledger.didOf(issuer.publicKey);
  const outcome = await perform(ledger, { kind: 'did-put', did, document: documentOf(did) }, issuer);
  if (outcome.state !== 'confirmed') throw new Error(`not confirmed but ${JSON.stringify(outcome)}`);
  return { did, issuer };
};

/** The path of a real algod, if tests are to run on one instead of the dev ledger; FLEXID_TEST_CONSENSUS names its protocol, v41 otherwise. */
const ALGOD = process.env.FLEXID_TEST_ALGOD;

/** A ledger for tests: the dev ledger, or a real algod. */
export const startDevnet = async (options: DevnetOptions = {}): Promise<Devnet> =>
  ALGOD === undefined
    ? await startDevLedger(options)
    : await startAlgod(ALGOD, { salt: options.salt, consensus: process.env.FLEXID_TEST_CONSENSUS });

export { devLedgerOnly } from '../../devnet/testing.ts';
export { algorandLedger, type Devnet };
