import { createHash } from 'node:crypto';
import type { Admin } from '../admin/route.ts';
import { AppError } from '../errors.ts';
import { validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { Account, Accounts } from './accounts.ts';
import { Assertion, type createPasskeys } from './passkeys.ts';
import type { Session, SessionKind, Sessions } from './sessions.ts';

/** The parts of what persons do at the web wallet. */

export const closed = { additionalProperties: false };
/** A wallet key that is sealed in a browser, base64url. */
export const Wrap = Type.String({ maxLength: 200, pattern: '^[A-Za-z0-9_-]{60,200}$' });
/** What only somebody who knows the recovery words, or has the link for a device, can give. */
export const Proof = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });
export const Asserted = validator(Type.Object({ response: Assertion }, closed));

export interface PersonOptions {
  readonly admin: Admin;
  readonly sessions: Sessions;
  readonly kind: SessionKind;
  readonly origin: () => string;
  /** The code that whoever signs up must have; absent: anyone may. */
  readonly code?: string;
}

export interface PersonParts extends Pick<PersonOptions, 'admin' | 'sessions' | 'kind'> {
  readonly accounts: Accounts;
  readonly passkeys: ReturnType<typeof createPasskeys>;
  /** The account of a session. @throws AppError `unauthorized` */
  accountOf(session: Session | undefined): Promise<Account>;
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export async function accountIn(accounts: Accounts, session: Session | undefined): Promise<Account> {
  const account = session?.wallet === undefined ? undefined : await accounts.find(session.wallet);
  if (!account) throw new AppError('unauthorized', 'You are not signed in, or your session has ended');
  return account;
}
