import { randomBytes } from 'node:crypto';
import { agent2018Type } from '../src/didcomm/agent-2018-types.ts';
import { didKeyToVerkey } from '../src/didcomm/encoding.ts';
import { packBase } from '../src/didcomm/envelope-2018.ts';
import { pack } from '../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../src/didcomm/media-types.ts';
import { startBenchAgent } from './agent.ts';

const TRIES = 200;
const ALLOWED = 0.2;

interface Seen {
  readonly what: string;
  /** Medians over the tries, in ms. */
  readonly known: number;
  readonly unknown: number;
  readonly apart: number;
  /** Statuses and lengths of bodies that came. */
  readonly answers: string;
}

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1]!;

/**
 * Whether a stranger can tell what is hosted here: a nonce of an offer, or a key, that a wallet of the instance has, and one that nobody has, with a message
 * that is wrong in either case. Known and unknown in turns, so that the machine's moods are in both.
 */
export async function run(): Promise<{ seen: readonly Seen[]; failures: readonly string[] }> {
  const flags = ['--no-ledger', '--multitenant', '--multitenant-admin', '--jwt-secret', 'bench only', '--anoncreds-workers', '1'];
  const agent = await startBenchAgent(undefined, [...flags, '--message-rate', '0', '--legacy', 'on']);
  try {
    const call = async (path: string, body: object, headers: Record<string, string>) => {
      const answer = await fetch(agent.admin + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      return JSON.parse(await answer.text());
    };
    const { token } = await call('/multitenancy/wallet', { wallet_name: 'hosted' }, { 'x-api-key': agent.key });
    const bearer = { authorization: `Bearer ${token}` };
    const { offer } = await call('/legacy/connections/offers', {}, bearer);
    const handshake = { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] };
    const { invitation } = await call('/out-of-band/create-invitation', handshake, bearer);
    const key = didKeyToVerkey(invitation.services[0].recipientKeys[0].split('#')[0])!;

    const wrong = (id: string): [string, string] => {
      const message = { did: 'GpHFXEYFMBgnm2jSzQm9ki', nonce: 'one', request_nonce: 'another' };
      return [packBase(offer.message.verkey, { id, type: agent2018Type('connection_request'), message }), 'text/plain'];
    };
    const stranger = newKeyPair();
    const unasked = (verkey: string): [string, string] => [
      pack({
        message: JSON.stringify({ '@type': 'https://didcomm.org/trust_ping/1.0/ping', '@id': randomBytes(8).toString('hex') }),
        recipients: [verkey],
        sender: stranger,
      }),
      ENVELOPE_V1,
    ];
    const rows = [
      { what: 'a nonce of an offer (2018)', known: () => wrong(offer.id), unknown: () => wrong(randomBytes(16).toString('hex')) },
      { what: 'a key (DIDComm)', known: () => unasked(key), unknown: () => unasked(newKeyPair().verkey) },
    ];
    const seen: Seen[] = [];
    const failures: string[] = [];
    for (const { what, known, unknown } of rows) {
      const times = { known: [] as number[], unknown: [] as number[] };
      const answers = { known: new Set<string>(), unknown: new Set<string>() };
      for (let i = -20; i < TRIES; i++) {
        for (const [side, make] of [
          ['known', known],
          ['unknown', unknown],
        ] as const) {
          const [body, type] = make();
          const before = performance.now();
          const answer = await fetch(agent.inbound, { method: 'POST', headers: { 'content-type': type }, body });
          const text = await answer.text();
          // the first ones warm up
          if (i < 0) continue;
          times[side].push(performance.now() - before);
          answers[side].add(`${answer.status} ${text.length}`);
        }
      }
      const [a, b] = [median(times.known), median(times.unknown)];
      const apart = Math.abs(a - b) / Math.max(a, b);
      const same = [...answers.known].sort().join() === [...answers.unknown].sort().join();
      seen.push({ what, known: a, unknown: b, apart, answers: [...answers.known].join() });
      if (!same) failures.push(`${what}: answered ${[...answers.known]} where it is known, ${[...answers.unknown]} where it is not`);
      if (apart > ALLOWED)
        failures.push(`${what}: medians of ${a.toFixed(2)} and ${b.toFixed(2)} ms are ${(apart * 100).toFixed(0)} % apart`);
      process.stdout.write(
        `${what.padEnd(28)} known ${a.toFixed(2)} ms  unknown ${b.toFixed(2)} ms  apart ${(apart * 100).toFixed(0)} %  ${[...answers.known].join()}\n`,
      );
    }
    return { seen, failures };
  } finally {
    await agent.stop();
  }
}
