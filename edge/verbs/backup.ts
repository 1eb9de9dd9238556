import { walletKey } from '../agent.ts';
import type { Options } from '../options.ts';

/** `backup` and `restore`: they read and write the store of a wallet that is not open. */

const perform = async (verb: 'backup' | 'restore', options: Options, args: readonly string[]): Promise<number> => {
  const isHelp = args.some((one) => one === '--help' || one === '-h');
  // a sheet of paper and its fonts are for these verbs alone
  const { recoveryVerb } = await import('../recovery.ts');
  const key = isHelp ? undefined : await walletKey(options, process.env.ACAPY_WALLET_KEY);
  return await recoveryVerb(verb, args, { folder: options.folder, walletKey: key });
};

export const backup = (options: Options, args: readonly string[]): Promise<number> => perform('backup', options, args);
export const restore = (options: Options, args: readonly string[]): Promise<number> => perform('restore', options, args);

/** At the prompt the wallet is open. */
export async function closed(): Promise<void> {
  throw new Error('this works on a wallet that is closed: quit, and give the verb to ./flexid edge');
}
