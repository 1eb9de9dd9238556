import { type Config, ConfigError } from './config.ts';
import { newKeyPair } from './didcomm/keys.ts';
import { seedBytes } from './dids/seed.ts';
import { asAppError } from './errors.ts';
import type { Calls } from './kernel/calls.ts';
import type { Kernel } from './kernel/context.ts';
import type { Log } from './ports/log.ts';
import { walletDid } from './protocols/wallet-did.ts';
import { type DidValue, did } from './records/did.ts';

const of = (value: unknown): DidValue => value as DidValue;

/**
 * What ACA-Py does with `--seed` when it starts or provisions: the DID of the seed is in the wallet, and no other one is public unless that was asked for.
 * @returns the DID where it is not the public one yet
 * @throws ConfigError where another DID is public, AppError for what is no seed
 */
export async function seedDid(kernel: Kernel, calls: Calls, tenant: string, config: Config): Promise<string | undefined> {
  const { seed } = config;
  if (seed === undefined) return undefined;
  const { verkey } = newKeyPair(seedBytes(seed));
  const [published, known] = await kernel.db.store.load(tenant, [
    { category: did.category, tag: 'posture', equals: 'public' },
    { category: did.category, tag: 'verkey', equals: verkey },
  ]);
  const current = published?.[0] && of(published[0].value);
  if (current?.verkey === verkey) return undefined;
  if (current && !config.replacePublicDid && !config.walletLocalDid)
    throw new ConfigError(`--seed: another DID is public, ${current.did}: leave the seed out, or give --replace-public-did`);
  if (known?.[0]) return of(known[0].value).did;
  const { result } = await calls.call(tenant, walletDid.name, 'create', { input: { body: { seed }, query: {} } });
  return of(result).did;
}

/** Publishes a DID while the agent runs already: a ledger that is slow, or a sponsor without funds, keeps nobody waiting. */
export function publishLater(calls: Calls, tenant: string, made: string, log: Log): void {
  calls.call(tenant, walletDid.name, 'publish', { input: { body: {}, query: { did: made } } }).then(
    () => log.info({ did: made }, 'the DID of --seed is being published, or is public'),
    (error: unknown) => log.warn({ did: made, reason: asAppError(error).message }, 'the DID of --seed could not be published'),
  );
}
