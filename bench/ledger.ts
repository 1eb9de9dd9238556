import algosdk from 'algosdk';
import { startDevnet } from '../devnet/main.ts';
import type { Ledger } from '../src/ports/ledger.ts';
import { algorandLedger, configOf, type Devnet, documentOf, type Issuer, newIssuer, prepare } from '../test/support/ledger.ts';
import { printTable } from './reference.ts';

const DIDS = 200;
const AGENTS = 4;
/** Writes that an agent has under way at once. */
const LANES = 10;
const BLOCK_MS = 1_000;
/** What the registry before this one took, whose data boxes were numbered by a counter: measured on a real node. */
const NUMBERED = { perBlock: 5, attacked: 'none' };

/** Publishes a DID as the agent's worker does: what was overtaken is planned anew. @returns how often it was signed */
const publish = async (ledger: Ledger, issuer: Issuer, operation: string): Promise<number> => {
  const did = ledger.didOf(issuer.publicKey);
  for (let attempt = 1; ; attempt++) {
    const made = await prepare(ledger, { kind: 'did-put', did, document: documentOf(did) }, `${operation}.${attempt}`, issuer.sign);
    if (made.state === 'done') return attempt;
    if (made.state !== 'signed') throw new Error(`the sponsor has no money: ${JSON.stringify(made)}`);
    let outcome = await ledger.send(made.signed);
    while (outcome.state === 'pending') outcome = await ledger.outcome(made.signed);
    if (outcome.state === 'confirmed') return attempt;
    if (outcome.state === 'rejected' && !outcome.rebuild) throw new Error(outcome.reason);
  }
};

/** Writes what it can, block for block, until it is told to stop: stages, documents and logs of its own. @returns the groups that landed */
const attack = (devnet: Devnet, until: () => boolean): Promise<number> => {
  const ledger = algorandLedger(configOf(devnet));
  const one = async (): Promise<number> => {
    let landed = 0;
    const issuer = newIssuer();
    const did = ledger.didOf(issuer.publicKey);
    for (let i = 0; !until(); i++) {
      const document = documentOf(did, { pad: 'p'.repeat(i % 2 ? 4_000 : 10), i });
      const made = await prepare(ledger, { kind: 'did-put', did, document }, `attack ${did} ${i}`, issuer.sign);
      if (made.state === 'signed' && (await ledger.send(made.signed)).state === 'confirmed') landed += 1;
    }
    return landed;
  };
  return Promise.all(Array.from({ length: 8 }, one)).then((counts) => counts.reduce((sum, count) => sum + count, 0));
};

const measure = async (attacked: boolean) => {
  const devnet = await startDevnet({ blockMs: BLOCK_MS });
  try {
    const algod = new algosdk.Algodv2(devnet.token, devnet.url);
    const round = async (): Promise<number> => Number((await algod.status().do()).lastRound);
    let over = false;
    const attacker = attacked ? attack(devnet, () => over) : Promise.resolve(0);
    const begun = await round();
    let left = DIDS;
    const agents = Array.from({ length: AGENTS }, () => algorandLedger(configOf(devnet)));
    const signed = await Promise.all(
      Array.from({ length: AGENTS * LANES }, async (_none, lane) => {
        const ledger = agents[lane % AGENTS] as Ledger;
        let count = 0;
        while (left-- > 0) count += await publish(ledger, newIssuer(), `lane ${lane} ${left}`);
        return count;
      }),
    );
    const blocks = (await round()) - begun;
    over = true;
    return { attacked, blocks, perBlock: DIDS / blocks, signed: signed.reduce((sum, count) => sum + count, 0), attacks: await attacker };
  } finally {
    await devnet.close();
  }
};

/** 200 DIDs by four agents' ledger adapters at once, without and with somebody who writes all the time: how many blocks they take. */
export async function run(): Promise<unknown> {
  const [alone, beside] = [await measure(false), await measure(true)];
  const rows = [alone, beside];
  printTable(
    ['', 'blocks', 'DIDs a block', 'groups signed', "attacker's groups"],
    [
      ...rows.map((row) => [row.attacked ? 'beside an attacker' : 'alone', row.blocks, row.perBlock, row.signed, row.attacks]),
      ['alone, numbered boxes (before)', DIDS / NUMBERED.perBlock, NUMBERED.perBlock, '', ''],
      ['beside an attacker, numbered boxes (before)', NUMBERED.attacked, 0, '', ''],
    ],
  );
  const late = beside.blocks - alone.blocks;
  process.stdout.write(`beside the attacker: ${late} blocks more\n`);
  return Object.assign(rows, { failures: late > 5 ? [`the attacker cost ${late} blocks`] : [] });
}
