import { AppError } from '../../errors.ts';
import type { JsonObject } from '../../ports/json.ts';
import { liveTokens, Quota, tokenView, wallet } from '../../records/wallet.ts';
import type { Admin, AdminRoute } from '../route.ts';
import { walletOf } from './multitenancy.ts';

const command = (admin: Admin, name: string, id: string, body: JsonObject = {}): Promise<JsonObject> =>
  admin.calls.call(admin.base, 'multitenancy', name, { record: id, input: { body, query: {} } });

const shown = async (admin: Admin, id: string): Promise<JsonObject> => wallet.view(await walletOf(admin, id));

/** What the operator does with wallets beside making and removing them: suspend and resume, tokens one by one, bounds. */
export const tenantRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /multitenancy/wallet/{wallet_id}/suspend',
    tag: 'multitenancy',
    summary: 'Suspend a subwallet: its calls are refused and its mail waits, until it is resumed',
    auth: 'admin',
    async handle(admin, { params }) {
      await walletOf(admin, params.wallet_id!);
      await command(admin, 'suspend', params.wallet_id!);
      return await shown(admin, params.wallet_id!);
    },
  },
  {
    route: 'POST /multitenancy/wallet/{wallet_id}/resume',
    tag: 'multitenancy',
    summary: 'Resume a suspended subwallet: mail that waited is handled',
    auth: 'admin',
    async handle(admin, { params }) {
      const id = params.wallet_id!;
      await walletOf(admin, id);
      await command(admin, 'resume', id);
      // the notification of it may come a moment later
      admin.kernel.profiles.invalidate(id);
      admin.engine
        .processDeferred(id)
        .catch((error: unknown) => admin.kernel.log.warn({ err: error, wallet: id }, 'mail that was kept could not be handled'));
      return await shown(admin, id);
    },
  },
  {
    route: 'GET /multitenancy/wallet/{wallet_id}/tokens',
    tag: 'multitenancy',
    summary: 'List the valid tokens of a subwallet: when each was made, ends and was last used, and its scope',
    auth: 'admin',
    async handle(admin, { params }) {
      const { value } = await walletOf(admin, params.wallet_id!);
      const results = liveTokens(value.tokens, admin.kernel.now()).map(tokenView);
      return { results, total: results.length };
    },
  },
  {
    route: 'DELETE /multitenancy/wallet/{wallet_id}/tokens/{token_id}',
    tag: 'multitenancy',
    summary: 'Void one token of a subwallet; the others stay',
    auth: 'admin',
    async handle(admin, { params }) {
      const id = params.wallet_id!;
      await walletOf(admin, id);
      await command(admin, 'revoke', id, { token_id: params.token_id! });
      const { value } = await walletOf(admin, id);
      // a wallet whose owner keeps the key is open no longer than its tokens are valid
      const isOpen = value.key_management_mode === 'managed' || liveTokens(value.tokens, admin.kernel.now()).length > 0;
      if (!isOpen) await admin.kernel.db.admin.lockTenant(id);
      return {};
    },
  },
  {
    route: 'PUT /multitenancy/wallet/{wallet_id}/quota',
    tag: 'multitenancy',
    summary: "Set what a subwallet may write to the ledger in a day; null takes a bound back to the instance's",
    auth: 'admin',
    body: Quota,
    async handle(admin, { params, body }) {
      if (Object.keys(body).length === 0) throw new AppError('bad-request', 'At least one bound is required');
      await walletOf(admin, params.wallet_id!);
      await command(admin, 'limit', params.wallet_id!, body);
      return await shown(admin, params.wallet_id!);
    },
  },
  {
    route: 'GET /multitenancy/wallet/{wallet_id}/usage',
    tag: 'multitenancy',
    summary: 'What a subwallet has written to the ledger today (UTC), of what it may',
    auth: 'admin',
    async handle(admin, { params }) {
      const id = params.wallet_id!;
      await walletOf(admin, id);
      const day = new Date(admin.kernel.now()).toISOString().slice(0, 10);
      const [[spent] = []] = await admin.kernel.db.store.load(id, [{ category: 'ledger_spent', id: day }]);
      const { writes = 0, microalgo = 0 } = (spent?.value ?? {}) as { writes?: number; microalgo?: number };
      const { ledgerWritesPerDay, ledgerAlgoPerDay } = (await admin.kernel.profiles.of(id)).settings;
      return {
        day,
        ledger_writes: writes,
        ledger_microalgo: microalgo,
        quota: { ledger_writes: ledgerWritesPerDay, ledger_algo: ledgerAlgoPerDay },
      };
    },
  },
];
