import { join } from 'node:path';
import { type EdgeRun, runEdge } from '../../harness/edge.ts';
import { type LedgerFacts, startIssuer, startLedger, startMediator } from '../../harness/network.ts';
import type { Program } from '../../harness/processes.ts';
import type { Open } from '../lib/stage.ts';
import { type Body, type Controller, pause, startWebhooks } from './controller.ts';
import { anchor, type Step } from './flow.ts';

/** Two people with wallets in terminals, an issuer, and an agency that is killed twice. */

/** How long the agency stays dead. */
const DEAD_MS = 2000;
const VALUES = { name: 'Alice Adams', degree: 'MSc', age: '30' };

export interface EdgesOutcome {
  readonly right: boolean;
  readonly facts: readonly (readonly [string, string])[];
}

/** @param part - a ledger that is there already; one protocol instead of both */
export async function runEdges(
  folder: string,
  step: Step,
  open: Open,
  part: { readonly ledger?: LedgerFacts; readonly wires?: readonly Wire[] } = {},
): Promise<EdgesOutcome> {
  const webhooks = await startWebhooks();
  await open(Promise.resolve({ stop: () => webhooks.close() }));
  const { wires = WIRES } = part;
  const ledger: LedgerFacts =
    part.ledger ??
    (await step('start the ledger', async () => {
      const facts = await open(startLedger(folder).then((made) => ({ ...made, stop: () => made.program.stop() })));
      return [facts, `${facts.url}, app ${facts.app}`];
    }));
  const mailbox = await step('start the agency', async () => {
    const made = await open(startMediator(folder, webhooks, true));
    return [made, `pid ${made.program.pid}`];
  });
  const issuer = await step('start the issuer', async () => {
    const made = await open(startIssuer(folder, ledger, webhooks));
    return [made.controller, `pid ${made.program.pid}`];
  });
  const { credDefId } = await anchor(issuer, Object.keys(VALUES), step);

  const wallet = (name: string): Promise<EdgeRun> =>
    step(`open the wallet of ${name}`, async () => {
      const flags = ['--folder', join(folder, name), '--label', name, '--agency', mailbox.invitation];
      const run = runEdge([...flags, '--egress-allow', '127.0.0.0/8', ...ledger.flags], {}, join(folder, `${name}.log`));
      await open(Promise.resolve(run));
      await run.shows('Your wallet is open.');
      return [run, `pid ${run.process.pid}`];
    });
  const [alice, bob] = [await wallet('Alice'), await wallet('Bob')];
  const killed: string[] = [];
  const people: People = { issuer, alice, bob, credDefId, kill: () => kill(mailbox.program, killed) };
  const right: boolean[] = [];
  for (const [at, wire] of wires.entries()) right.push(await round(people, wire, at + 1, step));
  for (const run of [alice, bob]) {
    run.type('quit');
    await run.ended();
  }
  return {
    right: right.every(Boolean),
    facts: [
      ['proofs verified by Bob', `${right.filter(Boolean).length}, by ${wires.map((wire) => NAMES[wire]).join(' and ')}`],
      ['the agency', `killed ${killed.length} times, pids ${killed.join(', ')}, now ${mailbox.program.pid}`],
    ],
  };
}

/** The protocols of the handshakes, and so of the messages after them. */
const WIRES = ['didcomm', '2018'] as const;
type Wire = (typeof WIRES)[number];
const NAMES: Readonly<Record<Wire, string>> = { didcomm: 'DIDComm', 2018: 'the 2018 Agent Protocol' };

interface People {
  readonly issuer: Controller;
  readonly alice: EdgeRun;
  readonly bob: EdgeRun;
  readonly credDefId: string;
  /** Kills the agency, and starts it again. @returns the pid that was killed */
  kill(): Promise<string>;
}

/** Handshakes, a credential and a proof. @param at Alice's number among Bob's contacts @returns whether Bob saw the requested values, and no other */
async function round({ issuer, alice, bob, credDefId, kill }: People, wire: Wire, at: number, step: Step): Promise<boolean> {
  const named = (text: string): string => `${text}, ${wire === '2018' ? wire : NAMES[wire]}`;
  const toAlice = await step(named('Alice connects with the issuer'), async () => {
    const { url, connection } = await invited(issuer, wire);
    alice.type(`connect ${url}`);
    await alice.shows('Connected with “demo issuer”.');
    return [connection, 'by what its code says'];
  });
  await step(named('Bob connects with Alice'), async () => {
    alice.type(wire === '2018' ? 'show-invitation 2018' : 'show-invitation');
    const url = await alice.shows(/^http\S+(?:oob|c_o)=\S+$/m);
    const back = kill();
    bob.type(`connect ${url}`);
    const pid = await back;
    await Promise.all([bob.shows('Connected with “Alice”.'), alice.shows('Connected with “Bob”.')]);
    return [undefined, `the agency was dead meanwhile (SIGKILL, pid ${pid})`];
  });
  await step(named('Alice takes a credential'), async () => {
    await offer(issuer, await toAlice(), credDefId);
    await alice.shows('Take it?');
    alice.type('yes');
    return [undefined, await alice.shows(/“graduate” 1\.0 is in your wallet\./)];
  });
  const proof = await step(named('Bob asks Alice for a proof'), async () => {
    bob.type(`ask ${at} name degree age>=18`);
    await bob.shows('Asked “Alice”.');
    await alice.shows('Share it?');
    const back = kill();
    alice.type('yes');
    const pid = await back;
    await bob.shows('A proof, verified');
    return [await bob.shows(/(?:│ .*\n)+└/), `the agency was dead meanwhile (SIGKILL, pid ${pid})`];
  });
  const seen = [`name: ${VALUES.name}`, `degree: ${VALUES.degree}`, 'age >= 18'].every((line) => proof.includes(line));
  return seen && !proof.includes(`age: ${VALUES.age}`);
}

/** An invitation of the issuer. @returns its URL, and the connection that follows from it */
async function invited(issuer: Controller, wire: Wire): Promise<{ url: string; connection(): Promise<string> }> {
  const made = await (wire === '2018'
    ? issuer.post('/legacy/connections/offers', { auto_accept: true })
    : issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE));
  const follows = (one: Body): boolean =>
    one.state === 'active' && (one.connection_id === made.connection_id || one.invitation_msg_id === made.invi_msg_id);
  return {
    url: made.offer_url ?? made.invitation_url,
    connection: async () => (await issuer.event('connections', follows, 'complete connection')).connection_id,
  };
}

const HANDSHAKE = { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] };

/** SIGKILL, and a start some seconds later. @returns the pid that was killed */
async function kill(program: Program, killed: string[]): Promise<string> {
  const pid = String(program.pid);
  killed.push(pid);
  await program.kill();
  await pause(DEAD_MS);
  await program.start();
  return pid;
}

async function offer(issuer: Controller, connection: string, credDefId: string): Promise<void> {
  await issuer.post('/issue-credential-2.0/send-offer', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { attributes: Object.entries(VALUES).map(([name, value]) => ({ name, value })) },
  });
}
