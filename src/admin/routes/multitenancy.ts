import { AppError } from '../../errors.ts';
import { ImageUrl } from '../../kernel/addresses.ts';
import { hashId, newId } from '../../kernel/ids.ts';
import type { CommandInput } from '../../kernel/protocol.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { liveTokens, type WalletToken, wallet } from '../../records/wallet.ts';
import { SCOPES } from '../auth.ts';
import { listed } from '../operations.ts';
import type { Admin, AdminRoute } from '../route.ts';

const Text = Type.Optional(Type.String());
const Key = Type.Object({ wallet_key: Text });
const Seconds = Type.Optional(Type.Integer({ minimum: 1, maximum: 10 * 365 * 24 * 3600 }));
const Changes = {
  label: Text,
  image_url: Type.Optional(ImageUrl),
  wallet_webhook_urls: Type.Optional(Type.Array(Type.String({ maxLength: 2000 }), { maxItems: 20 })),
  wallet_dispatch_type: Type.Optional(Type.Union([Type.Literal('default'), Type.Literal('both'), Type.Literal('base')])),
  extra_settings: Type.Optional(Type.Object({})),
};
const Creation = Type.Object({
  wallet_name: Text,
  wallet_key: Text,
  wallet_key_derivation: Type.Optional(Type.Union([Type.Literal('ARGON2I_MOD'), Type.Literal('ARGON2I_INT'), Type.Literal('RAW')])),
  wallet_type: Text,
  key_management_mode: Type.Optional(Type.Union([Type.Literal('managed'), Type.Literal('unmanaged')])),
  expires_in: Seconds,
  ...Changes,
});
/** The request for a token; without more, ACA-Py's single one that replaces the others. */
const Token = Type.Object({
  wallet_key: Text,
  expires_in: Seconds,
  scope: Type.Optional(Type.Array(Type.Union(SCOPES.map((name) => Type.Literal(name))), { minItems: 1, maxItems: SCOPES.length })),
  keep_others: Type.Optional(Type.Boolean()),
});

const unknown = (id: string): AppError => new AppError('not-found', `Record not found: wallet_record/${id}. WALLET_ITEM_NOT_FOUND`);

/** A wallet that is there for controllers. @throws AppError `not-found` */
export async function walletOf(admin: Admin, id: string) {
  const [rows] = await admin.kernel.db.store.load(admin.base, [{ category: wallet.category, id }]);
  if (!rows?.[0] || rows[0].state === 'erasing') throw unknown(id);
  return wallet.of(rows[0]);
}

/** How long a wallet whose owner keeps the key stays open, where its token is not asked for with another time. */
const OPEN_SECONDS = 24 * 3600;

/**
 * Opens a wallet whose owner keeps the key until the last of its tokens ends: the one that is asked for and those that are kept beside it; a key that is given for
 * another wallet is a misunderstanding that is answered with an error, as in ACA-Py. @returns in how many seconds the token must end
 */
async function opened(admin: Admin, id: string, body: JsonObject): Promise<number | undefined> {
  const { value } = await walletOf(admin, id);
  const { wallet_key: walletKey, expires_in: seconds, keep_others: keep } = body as Wishes & { wallet_key?: string };
  if (value.key_management_mode === 'managed') {
    if (walletKey !== undefined) throw new AppError('bad-request', `Wallet ${id} doesn't require the wallet key to be provided`);
    return seconds;
  }
  if (!walletKey) throw new AppError('unauthorized', 'Missing key to open wallet');
  const open = seconds ?? OPEN_SECONDS;
  const kept = keep ? liveTokens(value.tokens, admin.kernel.now()) : [];
  const until = Math.max(admin.kernel.now() + open * 1000, ...kept.map(({ exp = 0 }) => exp * 1000));
  await admin.kernel.db.admin.unlockTenant(id, { walletKey, until });
  handleMail(admin, id);
  return open;
}

/** Messages that came while a wallet was locked are handled after the answer. */
function handleMail(admin: Admin, id: string): void {
  admin.engine
    .processDeferred(id)
    .catch((error: unknown) => admin.kernel.log.warn({ err: error, wallet: id }, 'mail that was kept could not be handled'));
}

/** The body of a call for a token. */
interface Wishes {
  readonly expires_in?: number;
  readonly scope?: readonly string[];
  readonly keep_others?: boolean;
}

const command = (admin: Admin, name: string, id: string | undefined, body: object, key?: string): Promise<JsonObject> =>
  admin.calls.call(admin.base, 'multitenancy', name, { record: id, input: { body, query: {} } as CommandInput, key });

/** A token that the operator asks for. */
async function issueToken(admin: Admin, id: string, { expires_in: expiresIn, scope, keep_others: keep = false }: Wishes): Promise<string> {
  const { kept, text } = await admin.authority().issue(id, { expiresIn, scope });
  await command(admin, 'admit', id, { token: kept, keep });
  return text;
}

/** A token in the place of one that asks for it: whatever it asks for, it gets no more than it has. @throws AppError `forbidden` for more scope */
async function replaceToken(
  admin: Admin,
  id: string,
  own: WalletToken,
  { expires_in: expiresIn, scope = own.scope }: Wishes,
): Promise<string> {
  const beyond = own.scope && (scope ?? SCOPES).find((name) => !own.scope!.includes(name));
  if (beyond !== undefined) throw new AppError('forbidden', `The token does not allow to ${beyond}, nor would one that it makes`);
  const { kept, text } = await admin.authority().issue(id, { expiresIn, notAfter: own.exp, scope });
  await command(admin, 'admit', id, { token: kept, keep: true, instead: own.jti });
  return text;
}

async function remove(admin: Admin, id: string, body: JsonObject): Promise<JsonObject> {
  await opened(admin, id, { ...body, expires_in: 60 });
  await eraseWallet(admin, id);
  return {};
}

/** Removes a wallet, whose owner was asked. */
export async function eraseWallet(admin: Admin, id: string): Promise<void> {
  await command(admin, 'erase', id, {});
  // without its key nothing of it can be read any more; its rows follow in their own time
  await admin.kernel.db.admin.eraseTenant(id);
}

/** Locks a wallet whose owner keeps the key, in every process. @throws AppError `bad-request` for another */
export async function lockWallet(admin: Admin, id: string): Promise<void> {
  const { value } = await walletOf(admin, id);
  if (value.key_management_mode === 'managed') throw new AppError('bad-request', `Wallet ${id} has no key of its owner to be locked with`);
  await admin.kernel.db.admin.lockTenant(id);
  await command(admin, 'lock', id, {});
}

/** Opens a wallet for a person at a page: until a time (ms) that the page moves on while the person is there. @param walletKey absent where this agent keeps it */
export async function enterWallet(admin: Admin, id: string, { walletKey, until, seconds }: Entry): Promise<{ token: string; jti: string }> {
  await walletOf(admin, id);
  if (walletKey !== undefined) await admin.kernel.db.admin.unlockTenant(id, { walletKey, until });
  const { kept, text } = await admin.authority().issue(id, { expiresIn: seconds });
  await command(admin, 'admit', id, { token: kept, keep: true });
  handleMail(admin, id);
  return { token: text, jti: kept.jti };
}

export interface Entry {
  readonly walletKey?: string;
  readonly until: number;
  /** The longest life of the token. */
  readonly seconds: number;
}

/** One token of a wallet is void. */
export const leaveWallet = (admin: Admin, id: string, jti: string): Promise<unknown> => command(admin, 'revoke', id, { token_id: jti });

/** Creates a wallet with its first token. The same call repeated, by `key`, means the same wallet, and is a request for a token. @throws AppError `bad-request` */
export async function createWallet(admin: Admin, body: JsonObject, key: string | undefined): Promise<JsonObject> {
  const { wallet_key: walletKey, wallet_key_derivation: _none, extra_settings: extra, expires_in: seconds, ...rest } = body;
  const unmanaged = rest.key_management_mode === 'unmanaged';
  if (unmanaged && !walletKey) throw new AppError('bad-request', 'An unmanaged wallet needs a wallet_key, which only its owner keeps');
  const wishes: Wishes = { expires_in: (seconds as number | undefined) ?? (unmanaged ? OPEN_SECONDS : undefined) };
  const settings = admin.acapySettings((extra ?? {}) as JsonObject);
  // the same call repeated means the same wallet
  const id = key === undefined ? newId() : hashId(`wallet ${key}`);
  const { kept, text } = await admin.authority().issue(id, { expiresIn: wishes.expires_in });
  const store = admin.kernel.db.admin;
  const lock = unmanaged ? { walletKey: String(walletKey), until: admin.kernel.now() + wishes.expires_in! * 1000 } : undefined;
  await store.ensureTenant(id, String(rest.wallet_name ?? id), lock);
  try {
    await command(admin, 'create', undefined, { ...rest, wallet_id: id, token: kept, extra_settings: settings }, key);
  } catch (error) {
    const [rows] = await admin.kernel.db.store.load(admin.base, [{ category: wallet.category, id }]);
    if (rows?.length === 0) await store.eraseTenant(id).then(() => store.sweepTenant(id));
    throw error;
  }
  const made = await walletOf(admin, id);
  const first = made.value.tokens.some(({ jti }) => jti === kept.jti);
  if (first) return { ...wallet.view(made), token: text };
  // repeated, it is a request for a token
  const open = await opened(admin, id, { ...wishes, ...(unmanaged ? { wallet_key: walletKey! } : {}) } as JsonObject);
  return { ...wallet.view(made), token: await issueToken(admin, id, { expires_in: open }) };
}

/** ACA-Py's operations on wallets, for the operator; and what a tenant does with its own token. */
export const multitenancyRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /multitenancy/wallet',
    tag: 'multitenancy',
    summary: 'Create a subwallet',
    auth: 'admin',
    body: Creation,
    handle: (admin, { body, key }) => createWallet(admin, body, key),
  },
  {
    route: 'GET /multitenancy/wallets',
    tag: 'multitenancy',
    summary: 'Query subwallets',
    auth: 'admin',
    query: Type.Object({
      wallet_name: Type.Optional(Type.String()),
      limit: LIMIT,
      offset: OFFSET,
      cursor: Type.Optional(Type.String()),
      order_by: Type.Optional(Type.Literal('id')),
      descending: Type.Optional(Type.Boolean()),
    }),
    async handle(admin, { query }) {
      const page = await admin.kernel.db.store.find(admin.base, wallet.category, {
        state: 'ready',
        tags: query.wallet_name === undefined ? {} : { wallet_name: query.wallet_name },
        limit: Number(query.limit ?? 100),
        offset: Number(query.offset ?? 0),
        cursor: query.cursor,
        descending: query.descending === 'true',
      });
      const results = page.rows.map((row) => wallet.view(wallet.of(row)));
      return listed(results, page);
    },
  },
  {
    route: 'GET /multitenancy/wallet/{wallet_id}',
    tag: 'multitenancy',
    summary: 'Get a single subwallet',
    auth: 'admin',
    handle: async (admin, { params }) => wallet.view(await walletOf(admin, params.wallet_id!)),
  },
  {
    route: 'PUT /multitenancy/wallet/{wallet_id}',
    tag: 'multitenancy',
    summary: 'Update a subwallet',
    auth: 'admin',
    body: Type.Object(Changes),
    async handle(admin, { params, body, key }) {
      const id = params.wallet_id!;
      await walletOf(admin, id);
      const { extra_settings: extra, ...rest } = body;
      const changes = extra === undefined ? rest : { ...rest, extra_settings: admin.acapySettings(extra as JsonObject) };
      return await command(admin, 'update', id, changes, key);
    },
  },
  {
    route: 'POST /multitenancy/wallet/{wallet_id}/token',
    tag: 'multitenancy',
    summary: 'Get auth token for a subwallet: it replaces the others, unless keep_others',
    auth: 'admin',
    body: Token,
    async handle(admin, { params, body }) {
      const seconds = await opened(admin, params.wallet_id!, body);
      return { token: await issueToken(admin, params.wallet_id!, { ...body, expires_in: seconds }) };
    },
  },
  {
    route: 'POST /multitenancy/wallet/{wallet_id}/lock',
    tag: 'multitenancy',
    summary: 'Lock a subwallet whose owner keeps the key: its opened key and its tokens are gone',
    auth: 'admin',
    async handle(admin, { params }) {
      await lockWallet(admin, params.wallet_id!);
      return {};
    },
  },
  {
    route: 'DELETE /multitenancy/wallet/{wallet_id}',
    tag: 'multitenancy',
    summary: 'Remove a subwallet: its key at once, its rows in the background',
    auth: 'admin',
    body: Key,
    handle: (admin, { params, body }) => remove(admin, params.wallet_id!, body),
  },
  {
    route: 'POST /multitenancy/wallet/{wallet_id}/remove',
    tag: 'multitenancy',
    summary: 'Remove a subwallet (deprecated)',
    auth: 'admin',
    body: Key,
    handle: (admin, { params, body }) => remove(admin, params.wallet_id!, body),
  },
];

/** Without the operator: a tenant replaces the token that it calls with. */
export const ownTokenRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /multitenancy/token/rotate',
    tag: 'multitenancy',
    summary: 'Replace the token of this call by a new one',
    body: Type.Omit(Token, ['wallet_key', 'keep_others']),
    endsToken: true,
    async handle(admin, { tenant, token, body }) {
      if (token === undefined) throw new AppError('bad-request', 'This call was made without a token');
      const { value } = await walletOf(admin, tenant);
      const own = value.tokens.find(({ jti }) => jti === token);
      if (!own) throw new AppError('unauthorized', 'Authorization token missing or invalid');
      return { token: await replaceToken(admin, tenant, own, body as Wishes) };
    },
  },
];
