import type { Options } from '../options.ts';
import type { Session } from '../session.ts';
import { ask } from './ask.ts';
import { offers, share } from './asked.ts';
import { backup, closed, restore } from './backup.ts';
import { connect } from './connect.ts';
import { issue } from './issue.ts';
import { leave } from './leave.ts';
import { history, showInvitation, wallet, who } from './shown.ts';

export interface Verb {
  readonly name: string;
  readonly takes: string;
  readonly does: string;
  /** With the wallet open: at the prompt, in a script, or alone on the command line. @throws Error in one clause for people */
  run?(session: Session, args: readonly string[]): Promise<void>;
  /** In place of the wallet, which is not open: on the command line only. @returns the exit code */
  alone?(options: Options, args: readonly string[]): Promise<number>;
}

/** Every verb: a line each. */
export const VERBS: readonly Verb[] = [
  { name: 'connect', takes: 'INVITATION', does: 'connect with whoever it is of: its URL, or the text that its QR code has', run: connect },
  { name: 'show-invitation', takes: '[2018]', does: 'let somebody connect with you, by a URL or its QR code', run: showInvitation },
  { name: 'offers', takes: '[wait]', does: 'credentials that are offered to you, one after the other', run: offers },
  { name: 'share', takes: '[wait]', does: 'proofs that you are asked for, one after the other', run: share },
  { name: 'share', takes: 'CONTACT NAME ...', does: 'propose to show somebody values of your wallet', run: share },
  { name: 'wallet', takes: '', does: 'the credentials that you have', run: wallet },
  { name: 'who', takes: '', does: 'who you are, and whom you are connected with', run: who },
  { name: 'history', takes: '', does: 'what you took, showed, issued and declined', run: history },
  { name: 'issue', takes: 'KIND CONTACT NAME=VALUE ...', does: 'offer somebody a credential of yours', run: issue },
  { name: 'ask', takes: 'CONTACT NAME ...', does: 'ask somebody to prove values, or bounds as in "age>=18"', run: ask },
  { name: 'leave', takes: 'CONTACT', does: 'end a connection', run: leave },
  {
    name: 'backup',
    takes: '[PLACE] [--to-agency]',
    does: 'copy the wallet to a place, or to the agency, that 24 words open; from then on at each end',
    run: closed,
    alone: backup,
  },
  { name: 'restore', takes: 'PLACE | --from-agency URL', does: 'make a lost wallet again, by its words', run: closed, alone: restore },
];
