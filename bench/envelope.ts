import { toBase58 } from '../src/didcomm/encoding.ts';
import { type KeyPair, pack, unpack } from '../src/didcomm/envelope-v1.ts';
import { readForward, wrapForward } from '../src/didcomm/forward.ts';
import { keyCache } from '../src/didcomm/key-cache.ts';
import { parseJson, parseJsonObject } from '../src/didcomm/safe-json.ts';
import { sodium } from '../src/didcomm/sodium.ts';
import { median, printTable } from './reference.ts';

/** One line of the table: CPU time per operation, and operations per CPU-second relative to R (opening a sealed box of 32 bytes). */
export interface Row {
  name: string;
  microseconds: number;
  perSecond: number;
  ratio: number;
}

const ROUNDS = 15;
const SLICE_US = 60_000;

function newKey(): KeyPair {
  const publicKey = new Uint8Array(32);
  const secretKey = new Uint8Array(64);
  sodium.crypto_sign_keypair(publicKey, secretKey);
  return { verkey: toBase58(publicKey), secretKey };
}

/** CPU microseconds of one call, over `calls` calls. */
function measure(work: () => unknown, calls: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; i++) work();
  const used = process.cpuUsage(start);
  return (used.user + used.system) / calls;
}

/** Measures DIDComm v1 envelopes of 1 KB. All rows take turns in every round, so that a slow moment of the machine hits all of them; medians count. */
export async function run(): Promise<Row[]> {
  const [alice, bob, mediator] = [newKey(), newKey(), newKey()];
  const message = JSON.stringify({
    '@type': 'https://didcomm.org/basicmessage/1.0/message',
    '@id': 'b6a1',
    content: 'x'.repeat(1024 - 92),
  });
  const own = (key: KeyPair) => (verkey: string) => (verkey === key.verkey ? key : undefined);
  const [ofBob, ofMediator] = [own(bob), own(mediator)];

  const auth = Buffer.from(pack({ message, recipients: [bob.verkey], sender: alice }));
  const anon = Buffer.from(pack({ message, recipients: [bob.verkey] }));
  const forwarded = Buffer.from(wrapForward(auth.toString(), bob.verkey, [mediator.verkey]));
  const warm = keyCache();
  // A cache that knows the conversions but never a shared key: one entry, taken by turns.
  const noShared = keyCache();
  const strangers = [{ ...noShared, shared: () => undefined }] as const;

  const x = { pk: new Uint8Array(32), sk: new Uint8Array(32), sealed: new Uint8Array(80), opened: new Uint8Array(32) };
  sodium.crypto_sign_ed25519_pk_to_curve25519(x.pk, bob.secretKey.subarray(32));
  sodium.crypto_sign_ed25519_sk_to_curve25519(x.sk, bob.secretKey);
  sodium.crypto_box_seal(x.sealed, new Uint8Array(32), x.pk);
  const json = Buffer.from(
    JSON.stringify({
      ...JSON.parse(message),
      list: Array.from({ length: 20 }, (_, i) => ({ name: `attribute ${i}`, value: `value ${i}` })),
    }),
  );

  const rows: [string, () => unknown][] = [
    ['R: open a sealed box of 32 B', () => sodium.crypto_box_seal_open(x.opened, x.sealed, x.pk, x.sk)],
    ['authcrypt unpack, shared key cached', () => unpack(auth, ofBob, warm)],
    ['authcrypt unpack', () => unpack(auth, ofBob, strangers[0])],
    ['authcrypt pack, shared key cached', () => pack({ message, recipients: [bob.verkey], sender: alice }, warm)],
    ['authcrypt pack', () => pack({ message, recipients: [bob.verkey], sender: alice }, strangers[0])],
    ['anoncrypt unpack', () => unpack(anon, ofBob, warm)],
    ['anoncrypt pack', () => pack({ message, recipients: [bob.verkey] }, warm)],
    ['forward: wrap for one mediator', () => wrapForward('{}', bob.verkey, [mediator.verkey], warm)],
    ['forward: hop (unpack, read, write on)', () => readForward(parseJsonObject(unpack(forwarded, ofMediator, warm).message))],
    [`JSON, hostile, ${json.length} B`, () => parseJson(json)],
    [`JSON.parse alone, ${json.length} B`, () => JSON.parse(json.toString('utf8'))],
  ];

  const calls = rows.map(([, work]) => {
    measure(work, 500);
    return Math.max(50, Math.round(SLICE_US / Math.max(measure(work, 200), 0.5)));
  });
  const times: number[][] = rows.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [, work]] of rows.entries()) times[i]?.push(measure(work, calls[i] ?? 1));
  }
  const reference = median(times[0] ?? []);
  const table = rows.map(([name], i): Row => {
    const microseconds = median(times[i] ?? []);
    return { name, microseconds, perSecond: 1e6 / microseconds, ratio: reference / microseconds };
  });
  printTable(
    ['DIDComm v1, 1 KB', 'CPU us', 'per CPU-second', 'of R'],
    table.map((row) => [row.name, row.microseconds, row.perSecond, row.ratio]),
  );
  return table;
}
