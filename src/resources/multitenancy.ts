import { AppError } from '../errors.ts';
import { webhookUrls } from '../kernel/addresses.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import { AnyObject } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { Lookup } from '../ports/store.ts';
import { liveTokens, Quota, type WalletToken, type WalletValue, wallet, walletOwnerName } from '../records/wallet.ts';

/** How many tokens of one tenant are valid at a time. */
const MAX_TOKENS = 20;

const Text = Type.Optional(Type.String());
/** The settings of a tenant, and those that may change; the routes have checked them. */
const CHANGEABLE = {
  label: Text,
  image_url: Text,
  wallet_webhook_urls: Type.Optional(Type.Array(Type.String())),
  wallet_dispatch_type: Text,
  extra_settings: Type.Optional(AnyObject),
};
const Token = Type.Unsafe<WalletToken>(Type.Object({ jti: Type.String(), iat: Type.Number() }));
const Create = Type.Object({
  wallet_id: Type.String(),
  wallet_name: Text,
  wallet_type: Text,
  key_management_mode: Type.Optional(Type.Union([Type.Literal('managed'), Type.Literal('unmanaged')])),
  token: Token,
  ...CHANGEABLE,
});

const named = (name: string | undefined): Record<string, Lookup> =>
  name === undefined ? {} : { named: { category: wallet.category, tag: 'wallet_name', equals: name } };
const CHANGES = Object.keys(CHANGEABLE) as (keyof typeof CHANGEABLE)[];

/** ACA-Py's rule: URLs alone mean the tenant's own, no URL means the base wallet's. */
const dispatchOf = (urls: readonly string[] | undefined, given: string | undefined): WalletValue['dispatch_type'] | undefined =>
  urls?.length === 0 ? 'base' : ((given as WalletValue['dispatch_type'] | undefined) ?? (urls ? 'default' : undefined));

/** Tenants, as records of the base wallet. The rows of a tenant, and its data key, are the store's: the routes see to both, and to what comes in. */
export const multitenancy = defineProtocol<WalletValue>({
  name: 'multitenancy',
  uris: [],
  binds: wallet,
  messages: {},
  commands: {
    create: command({
      body: Create,
      from: [NEW],
      load: ({ body }) => named(body.wallet_name),
      step(ctx, { body }) {
        if (ctx.loaded.named) throw new AppError('bad-request', `Wallet with name ${body.wallet_name} already exists`);
        const id = body.wallet_id;
        const urls = webhookUrls(body.wallet_webhook_urls ?? []);
        const value: WalletValue = {
          wallet_name: body.wallet_name,
          wallet_type: body.wallet_type ?? ctx.settings.walletType,
          label: body.label,
          image_url: body.image_url,
          webhook_urls: urls,
          dispatch_type: dispatchOf(urls, body.wallet_dispatch_type) ?? 'base',
          key_management_mode: body.key_management_mode ?? 'managed',
          extra_settings: body.extra_settings,
          tokens: [body.token],
        };
        return {
          record: { id, states: ['ready'], patch: value },
          // two of one name at once: the second finds the name taken, and reads that
          keyOwners: body.wallet_name === undefined ? [] : [{ kid: walletOwnerName(body.wallet_name), kind: 'wallet', target: id }],
        };
      },
    }),
    update: command({
      body: Type.Object(CHANGEABLE),
      from: ['ready'],
      step(ctx, { body }) {
        if (CHANGES.every((name) => body[name] === undefined)) throw new AppError('bad-request', 'At least one parameter is required.');
        const { value } = ctx.record!;
        const urls = body.wallet_webhook_urls && webhookUrls(body.wallet_webhook_urls, value.webhook_urls);
        const patch: Partial<WalletValue> = {
          label: body.label ?? value.label,
          image_url: body.image_url ?? value.image_url,
          webhook_urls: urls ?? value.webhook_urls,
          dispatch_type: dispatchOf(urls, body.wallet_dispatch_type) ?? value.dispatch_type,
          extra_settings: { ...value.extra_settings, ...body.extra_settings },
        };
        return { record: { patch }, invalidate: [ctx.record!.id] };
      },
    }),
    // a token is signed outside; what makes it valid is that its id stands here
    admit: command({
      body: Type.Object({ token: Token, keep: Type.Optional(Type.Boolean()), instead: Text }),
      from: ['ready'],
      step(ctx, { body }) {
        const { tokens: before } = ctx.record!.value;
        // a token that was voided meanwhile makes no other
        if (body.instead !== undefined && !liveTokens(before, ctx.now).some(({ jti }) => jti === body.instead))
          throw new AppError('unauthorized', 'Authorization token missing or invalid');
        const live = liveTokens(before, ctx.now).filter(({ jti }) => jti !== body.instead);
        if (body.keep && live.length >= MAX_TOKENS)
          throw new AppError(
            'bad-request',
            `The wallet has ${MAX_TOKENS} valid tokens: let some expire, or ask for one that replaces them`,
          );
        const tokens = [...(body.keep ? live : []), body.token];
        return { record: { patch: { tokens } }, invalidate: [ctx.record!.id] };
      },
    }),
    /** One token is void; the others stay. */
    revoke: command({
      body: Type.Object({ token_id: Type.String() }),
      from: ['ready'],
      step(ctx, { body }) {
        const { tokens } = ctx.record!.value;
        const left = tokens.filter(({ jti }) => jti !== body.token_id);
        if (left.length === tokens.length) throw new AppError('not-found', `The wallet has no token ${body.token_id}`);
        return { record: { patch: { tokens: left } }, invalidate: [ctx.record!.id] };
      },
    }),
    /** Notes when a token was called with. */
    used: command({
      body: Type.Object({ token_id: Type.String() }),
      from: ['ready'],
      step(ctx, { body }) {
        const used = Math.floor(ctx.now / 1000);
        const tokens = ctx.record!.value.tokens.map((one) => (one.jti === body.token_id ? { ...one, used } : one));
        return { record: { patch: { tokens } } };
      },
    }),
    suspend: { from: ['ready'], step: (ctx) => ({ record: { patch: { suspended: true } }, invalidate: [ctx.record!.id] }) },
    resume: { from: ['ready'], step: (ctx) => ({ record: { patch: { suspended: undefined } }, invalidate: [ctx.record!.id] }) },
    limit: command({
      body: Quota,
      from: ['ready'],
      step(ctx, { body }) {
        const quota = Object.fromEntries(Object.entries({ ...ctx.record!.value.quota, ...body }).filter(([, value]) => value !== null));
        return { record: { patch: { quota: Object.keys(quota).length > 0 ? quota : undefined } }, invalidate: [ctx.record!.id] };
      },
    }),
    // the wallet is opened again with a new token
    lock: { from: ['ready'], step: (ctx) => ({ record: { patch: { tokens: [] } }, invalidate: [ctx.record!.id] }) },
    erase: {
      from: ['ready', 'erasing'],
      step(ctx) {
        const { id, value } = ctx.record!;
        return {
          record: { states: ['erasing'], patch: { tokens: [], wallet_name: undefined, erasing: true } },
          removedKeyOwners: value.wallet_name === undefined ? [] : [walletOwnerName(value.wallet_name)],
          invalidate: [id],
        };
      },
    },
    gone: { from: ['erasing'], step: () => ({ record: { remove: true, silent: true } }) },
  },
});
