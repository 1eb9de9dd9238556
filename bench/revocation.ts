import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Body, Controller } from '../examples/demo/controller.ts';
import { eachOf, issueOne, type Prepared, prepare, present } from '../examples/demo/flow.ts';
import { type LedgerFacts, type Network, ROLES, type Role, startLedger, startNetwork } from '../harness/network.ts';
import { statusLog } from '../harness/status-log.ts';
import { openStores } from '../harness/stores.ts';
import { BENCH_ROW } from './anoncreds.ts';
import { cpuSeconds, printTable } from './reference.ts';

/** Credentials of one round, and rounds with and without revocation by turns, so that what else the machine does hits both. */
const ROUND = 24;
const ROUNDS = 3;
const IN_FLIGHT = 8;
const TAILS = 400;
const TAILS_IN_FLIGHT = 16;
/** Least rate of issuing with revocation as a part of the rate without, longest publication, and fewest tails files in a second of the issuer's processor. */
const AIMS = { issue: 0.9, publishSeconds: 10, tailsPerCpuSecond: 100 };
const HELP = `./flexid bench revocation [--pending 1000] [--sizes 100,1000,4096]

  --pending    credentials that one call revokes
  --sizes      entries of the registries that are made
`;

interface Spent {
  readonly perMinute: number;
  /** CPU milliseconds of each agent. */
  readonly cpu: Readonly<Record<Role, number>>;
}

/** Does two kinds of the same work by turns. */
async function compared(network: Network, kinds: readonly (() => Promise<unknown>)[]): Promise<Spent[]> {
  const sums = kinds.map(() => ({ seconds: 0, cpu: ROLES.map(() => 0) }));
  for (let round = 0; round < ROUNDS; round++)
    for (const [kind, work] of kinds.entries()) {
      const sum = sums[kind]!;
      const cpuOf = (): number[] => ROLES.map((role) => cpuSeconds(network.agents[role].pid!));
      const [before, start] = [cpuOf(), performance.now()];
      await eachOf(Array.from({ length: ROUND }), IN_FLIGHT, async () => void (await work()));
      sum.seconds += (performance.now() - start) / 1000;
      for (const [i, after] of cpuOf().entries()) sum.cpu[i]! += after - before[i]!;
    }
  const count = ROUND * ROUNDS;
  return sums.map(({ seconds, cpu }) => ({
    perMinute: (count / seconds) * 60,
    cpu: Object.fromEntries(ROLES.map((role, i) => [role, (cpu[i]! * 1000) / count])) as Record<Role, number>,
  }));
}

function printCompared(what: string, [without, with_]: readonly Spent[]): number {
  const ratio = with_!.perMinute / without!.perMinute;
  process.stdout.write(`\n${what}, ${IN_FLIGHT} in flight\n`);
  printTable(
    ['', 'per minute', 'of without', 'issuer CPU ms', 'holder CPU ms', 'verifier CPU ms'],
    [without!, with_!].map(({ perMinute, cpu }, i) => [
      i === 0 ? 'without revocation' : 'with revocation',
      ...[perMinute, i === 0 ? 1 : ratio, cpu.issuer, cpu.holder, cpu.verifier],
    ]),
  );
  return ratio;
}

/** A definition whose credentials can be revoked, once a registry issues and another stands by. */
async function revocable(issuer: Controller, { schemaId, credDefId }: Prepared, size: number): Promise<string> {
  const issuerId = credDefId.slice(0, credDefId.indexOf('/'));
  const { credential_definition_state: state } = await issuer.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId, schemaId, tag: 'revocable' },
    options: { support_revocation: true, revocation_registry_size: size },
  });
  const id = state.credential_definition_id as string;
  const two = (hook: Body): boolean => hook.cred_def_id === id && hook.state === 'active' && hook.tag !== '0';
  await issuer.event('revocation_registry', two, 'a registry that stands by');
  return id;
}

async function publishing(issuer: Controller, ledger: LedgerFacts, registry: string, issued: number) {
  const before = await statusLog(ledger, registry);
  const marked = performance.now();
  await eachOf(Array.from({ length: issued }), IN_FLIGHT, async (_none, i) => {
    await issuer.post('/revocation/revoke', { rev_reg_id: registry, cred_rev_id: String(i + 1) });
  });
  const start = performance.now();
  await issuer.post('/revocation/publish-revocations', {});
  const seconds = (performance.now() - start) / 1000;
  const { entries, revoked } = await statusLog(ledger, registry);
  return { pending: issued, markMs: (start - marked) / issued, seconds, records: entries - before.entries, revoked: revoked.length };
}

async function tailsServed(network: Network, url: string) {
  const [before, start] = [cpuSeconds(network.agents.issuer.pid!), performance.now()];
  let bytes = 0;
  await eachOf(Array.from({ length: TAILS }), TAILS_IN_FLIGHT, async () => {
    const answer = await fetch(url);
    if (answer.status !== 200) throw new Error(`the tails file was answered with ${answer.status}`);
    bytes = (await answer.arrayBuffer()).byteLength;
  });
  const seconds = (performance.now() - start) / 1000;
  return { bytes, perSecond: TAILS / seconds, cpuMs: ((cpuSeconds(network.agents.issuer.pid!) - before) * 1000) / TAILS };
}

async function registries(network: Network, credDefId: string, sizes: readonly number[]) {
  const made: { size: number; seconds: number; cpuSeconds: number; tailsBytes: number }[] = [];
  for (const size of sizes) {
    const [before, start] = [cpuSeconds(network.agents.issuer.pid!), performance.now()];
    const body = { credential_definition_id: credDefId, max_cred_num: size };
    const { result } = await network.controllers.issuer.post('/revocation/create-registry', body);
    if (result.state !== 'generated') throw new Error(`a registry of ${size} entries is ${result.state}: ${result.error_msg}`);
    const seconds = (performance.now() - start) / 1000;
    made.push({ size, seconds, cpuSeconds: cpuSeconds(network.agents.issuer.pid!) - before, tailsBytes: 2 + 128 * (2 * size + 1) });
  }
  return made;
}

/** What revocation costs: issuing, presenting, publishing, serving tails, making registries. Three agents, the ledger and the controller share the machine. */
export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pending: { type: 'string', default: '1000' },
      sizes: { type: 'string', default: '100,1000,4096' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const pending = Number(values.pending);
  const sizes = values.sizes.split(',').map(Number);
  if (!Number.isInteger(pending) || pending < 1 || pending > 10_000) throw new Error('--pending takes a number from 1 to 10000');
  if (sizes.some((size) => !Number.isInteger(size) || size < 4 || size > 32_768)) throw new Error('--sizes takes numbers from 4 to 32768');
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const stores = await openStores('sqlite', folder);
  let network: Network | undefined;
  try {
    const ledger = await startLedger(folder);
    network = await startNetwork(folder, stores.of, undefined, undefined, false, ledger);
    const { controllers } = network;
    const plain = await prepare(controllers, Object.keys(BENCH_ROW), async (_name, step) => (await step())[0]);
    const credDefId = await revocable(controllers.issuer, plain, Math.max(1000, pending + ROUND * ROUNDS) + 10);
    const own: Prepared = { ...plain, credDefId };
    const both = [plain, own].map((prepared) => () => issueOne(controllers, prepared, BENCH_ROW));

    const held = [await both[0]!(), await both[1]!()];
    const issue = await compared(network, both);
    const issueRatio = printCompared('issue: from the call to the acknowledged credential', issue);
    const ask = { revealed: 'full_name', number: 'graduation_year', floor: 2000 };
    const shows = [plain, own].map((prepared, i) => async () => {
      const at = i === 0 ? undefined : Math.floor(Date.now() / 1000);
      const { verified, reasons } = await present(controllers, prepared, held[i]!, { ...ask, at });
      if (!verified) throw new Error(`a presentation was not verified: ${reasons.join('; ')}`);
    });
    const shown = await compared(network, shows);
    printCompared('present and verify: from the request to the verdict', shown);

    const { result } = await controllers.issuer.get(`/revocation/active-registry/${credDefId}`);
    const tails = await tailsServed(network, result.tails_public_uri);
    process.stdout.write(`\nGET of a tails file of ${tails.bytes} bytes, ${TAILS_IN_FLIGHT} in flight\n`);
    printTable(['per second', 'issuer CPU ms'], [[tails.perSecond, tails.cpuMs]]);

    const there = 1 + ROUND * ROUNDS;
    await eachOf(Array.from({ length: Math.max(0, pending - there) }), IN_FLIGHT, async () => void (await both[1]!()));
    const publish = await publishing(controllers.issuer, ledger, result.revoc_reg_id, pending);
    process.stdout.write('\nrevoke and publish, all by one call\n');
    printTable(
      ['pending', 'ms to mark one', 'seconds to publish', 'records of the log'],
      [[String(publish.pending), publish.markMs, publish.seconds, String(publish.records)]],
    );
    const made = await registries(network, credDefId, sizes);
    process.stdout.write('\nregistries, from the call to served tails\n');
    printTable(
      ['entries', 'seconds', 'issuer CPU seconds', 'tails bytes'],
      made.map(({ size, seconds, cpuSeconds: cpu, tailsBytes }) => [String(size), seconds, cpu, String(tailsBytes)]),
    );
    const failures = [
      ...(issueRatio < AIMS.issue ? [`issuing with revocation has ${issueRatio.toFixed(2)} of the rate without, not ${AIMS.issue}`] : []),
      ...(publish.records !== 1 || publish.revoked !== pending
        ? [`${pending} revocations made ${publish.records} records with ${publish.revoked} revoked indices`]
        : []),
      ...(publish.seconds > AIMS.publishSeconds ? [`the publication took ${publish.seconds.toFixed(1)} s`] : []),
      ...(1000 / tails.cpuMs < AIMS.tailsPerCpuSecond
        ? [`${(1000 / tails.cpuMs).toFixed(0)} tails files in a processor second, not ${AIMS.tailsPerCpuSecond}`]
        : []),
    ];
    return { issue, present: shown, tails, publish, registries: made, failures };
  } finally {
    await network?.stop();
    await stores.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
