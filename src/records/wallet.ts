import { shownUrl } from '../kernel/addresses.ts';
import { compact, defineRecord, isoTime, type LoadedRecord } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';

/** A token of a tenant: known by its id alone, and what it allows. */
export interface WalletToken {
  readonly jti: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp?: number;
  readonly scope?: readonly string[];
  /** When it was last called with, to the hour: seconds since 1970. */
  readonly used?: number;
}

/** Bounds of a wallet in the place of the instance's. */
export interface WalletQuota {
  /** Ledger writes in a day, and what they may cost in ALGO; 0: no limit. */
  readonly ledger_writes?: number;
  readonly ledger_algo?: number;
}

/** Bounds of a wallet; null takes one back to the instance's. */
export const Quota = Type.Object({
  ledger_writes: Type.Optional(Type.Union([Type.Integer({ minimum: 0, maximum: 1_000_000 }), Type.Null()])),
  ledger_algo: Type.Optional(Type.Union([Type.Number({ minimum: 0, maximum: 1_000_000 }), Type.Null()])),
});

/** Those that have not ended. @param now ms since 1970 */
export const liveTokens = (tokens: readonly WalletToken[], now: number): WalletToken[] =>
  tokens.filter(({ exp }) => exp === undefined || exp * 1000 > now);

/** A tenant, as ACA-Py's WalletRecord; it is a record of the base wallet, and its id is the tenant's. */
export interface WalletValue {
  [member: string]: unknown;
  wallet_name?: string;
  wallet_type?: string;
  label?: string;
  image_url?: string;
  webhook_urls?: readonly string[];
  dispatch_type: 'default' | 'base' | 'both';
  key_management_mode: 'managed' | 'unmanaged';
  /** As given, under ACA-Py's names. */
  extra_settings?: Readonly<JsonObject>;
  /** Those that are valid, the newest last. */
  tokens: readonly WalletToken[];
  /** Its operator has suspended it. */
  suspended?: boolean;
  quota?: WalletQuota;
  /** Its data key is gone and its rows follow. */
  erasing?: boolean;
}

/** ACA-Py's names of a tenant's settings; of the webhooks' URLs without what only their receivers may know. */
export const walletSettings = ({ id, value }: Pick<LoadedRecord<WalletValue>, 'id' | 'value'>): JsonObject =>
  compact({
    'wallet.type': value.wallet_type,
    'wallet.name': value.wallet_name,
    'wallet.webhook_urls': value.webhook_urls?.map(shownUrl),
    'wallet.dispatch_type': value.dispatch_type,
    default_label: value.label,
    image_url: value.image_url,
    ...value.extra_settings,
    'wallet.id': id,
  });

export const wallet = defineRecord<WalletValue>({
  category: 'wallet_record',
  idField: 'wallet_id',
  label: 'Wallet',
  // `erasing` once its data key is gone and its rows follow
  states: ['ready', 'erasing'],
  view: (record) => ({
    wallet_id: record.id,
    key_management_mode: record.value.key_management_mode,
    created_at: isoTime(record.created),
    updated_at: isoTime(record.updated),
    settings: walletSettings(record),
    ...(record.value.suspended ? { suspended: true } : {}),
    ...(record.value.quota ? { quota: { ...record.value.quota } } : {}),
  }),
  // wallets to be swept are looked for all the time, among any number of wallets
  tags: (value) => ({ wallet_name: value.wallet_name, erasing: value.erasing ? 'true' : undefined }),
});

/** A token as the operator sees it: never the token itself. */
export const tokenView = ({ jti, iat, exp, scope, used }: WalletToken): JsonObject => ({
  token_id: jti,
  created_at: isoTime(iat * 1000),
  expires_at: exp === undefined ? null : isoTime(exp * 1000),
  scope: scope ? [...scope] : null,
  last_used: used === undefined ? null : isoTime(used * 1000),
});

/** The name under which the owner of a wallet's unique name is stored. */
export const walletOwnerName = (name: string): string => `wallet name ${name}`;
