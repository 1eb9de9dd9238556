import { openWallet, walletKey } from '../agent.ts';
import { AGENT_SETTINGS, MAILBOXES, type Options, type Values } from '../options.ts';

/** `backup` and `restore`: they read and write the store of a wallet that is not open. */

/** Settings of the wallet that count for a guest of an agency, too. */
const GUEST = ['egress-allow', 'outbound-timeout', 'max-message-size', 'log-level'];

/** A wallet without a ledger, which lives as long as a restore. */
function guestOf(given: Values, folder: string, invitation: string): Options {
  const settings = Object.fromEntries(Object.entries(given).filter(([name]) => GUEST.includes(name)));
  return {
    ...{ folder, passphrase: false, help: false, args: [] },
    given: { ...settings, 'mediator-invitation': invitation, 'no-ledger': true },
  };
}

/** The environment without another place of the mail, and without the key of the wallet that is made. */
const guestEnv = (): Record<string, string | undefined> => {
  const without = [...MAILBOXES, 'wallet-key'].map((name) => AGENT_SETTINGS.get(name)?.env);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !without.includes(name)));
};

const perform = async (verb: 'backup' | 'restore', options: Options, args: readonly string[]): Promise<number> => {
  const isHelp = args.some((one) => one === '--help' || one === '-h');
  // a sheet of paper and its fonts are for these verbs alone
  const { recoveryVerb } = await import('../recovery.ts');
  const key = isHelp ? undefined : await walletKey(options, process.env.ACAPY_WALLET_KEY);
  const opened: Options = { ...options, passphrase: false, given: { ...options.given, ...(key !== undefined && { 'wallet-key': key }) } };
  return await recoveryVerb(verb, args, {
    folder: options.folder,
    walletKey: key,
    open: () => openWallet(opened, process.env, false),
    openGuest: (folder, invitation) => openWallet(guestOf(options.given, folder, invitation), guestEnv(), false),
  });
};

export const backup = (options: Options, args: readonly string[]): Promise<number> => perform('backup', options, args);
export const restore = (options: Options, args: readonly string[]): Promise<number> => perform('restore', options, args);

/** At the prompt the wallet is open. */
export async function closed(): Promise<void> {
  throw new Error('this works on a wallet that is closed: quit, and give the verb to ./flexid edge');
}
