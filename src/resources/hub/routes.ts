import type { Static, TSchema } from 'typebox';
import { AppError } from '../../errors.ts';
import type { PublicContext, PublicRoute } from '../../kernel/public-route.ts';
import { type Validator, validator } from '../../kernel/schema.ts';
import type { Action, Capabilities } from '../../ports/capabilities.ts';
import type { PublicRequest } from '../../ports/public.ts';
import { configOf, edv, vaultUrl } from '../../records/edv.ts';
import { documentId, edvDocument, pendingRewrap } from '../../records/edv-document.ts';
import { type Admitted, parsed, parsedObject, refuseRevoked, urlOf, vaultOf, verified, verifiedRoot } from './admission.ts';
import { type Act, find, json, readChunk, type Write, writeChunk } from './documents.ts';
import { inTurn } from './in-turn.ts';
import { Config, Did, Document, IndexEntry } from './shapes.ts';
import { hubVaults } from './vault.ts';

/** The bound of a document; more is a stream. */
const MAX_DOCUMENT = 1_000_000;
/** A chunk of 1 MiB as its client encrypts and encodes it. */
const MAX_CHUNK = 1_572_864;
const MAX_BODY = 64 << 10;
const did = validator(Did);

const config = validator(Config);
const document = validator(Document);
const entry = validator(IndexEntry);

/**
 * The routes of vaults, as the clients of encrypted data vaults (EDV 0.10) call them. Each request is signed, and invokes a capability that ends at the vault's
 * controller. A vault that does not exist is 404, a missing right 403: ids of vaults are random.
 */
export function hubRoutes(capabilities: Capabilities): readonly PublicRoute[] {
  const queue = inTurn();

  /** A route on a vault. `path`: the part behind the vault's own, with its parameters. */
  function onVault(
    method: 'GET' | 'POST',
    path: string,
    action: Action,
    act: Act,
    more: { maxBytes?: number; queried?: boolean } = {},
  ): PublicRoute {
    return {
      route: `${method} /hub/{tenant}/edvs/{edv}${path}`,
      maxBytes: more.maxBytes ?? MAX_BODY,
      async handle(ctx, request) {
        const admitted = await admit(ctx, request, path, action, more.queried ?? false);
        return admitted && (await act(ctx, request, admitted));
      },
    };
  }

  async function admit(
    ctx: PublicContext,
    request: PublicRequest,
    path: string,
    action: Action,
    queried: boolean,
  ): Promise<Admitted | undefined> {
    const found = await vaultOf(ctx, request, path, queried);
    if (!found) return undefined;
    const { vault, url, whole } = found;
    const roots = [{ target: url, controllers: [vault.value.controller] }];
    const invoked = await verified(capabilities, ctx, request, action, whole, roots);
    await refuseRevoked(ctx, vault.id, invoked.chain);
    return { ...found, invoked };
  }

  const write: Write = async (ctx, vault, command, body, key) =>
    await queue(`${ctx.tenant} ${vault}`, () =>
      ctx.call(hubVaults.name, command, { record: vault, input: { body, query: {} }, key: key === undefined ? undefined : `hub ${key}` }),
    );

  /** A write by a command, whose input is made from a body of that shape. */
  const writes =
    <S extends TSchema>(shape: Validator<S>, command: string, bodyOf: (given: Static<S>, ctx: PublicContext) => object): Act =>
    async (ctx, request, { vault }) => {
      await write(ctx, vault.id, command, bodyOf(parsed(request, shape), ctx));
      return { status: 204 };
    };

  return [
    ...collectionRoutes(capabilities, queue),
    // whose rights have ended is the controller's to know
    onVault('GET', '', 'read', async (ctx, _request, { vault, url, invoked }) =>
      json({ ...configOf(url, vault.value), ...(invoked.chain.length === 0 ? await pendingRewrap(ctx.find, vault) : {}) }),
    ),
    onVault('POST', '', 'write', async (ctx, request, admitted) => {
      if (admitted.invoked.chain.length > 0) throw new AppError('forbidden', 'a delegated right is none to give the vault away');
      return await writes(config, 'configure', (given) => given)(ctx, request, admitted);
    }),
    onVault(
      'POST',
      '/documents',
      'write',
      writes(document, 'insert', (given) => ({ document: given })),
      { maxBytes: MAX_DOCUMENT },
    ),
    onVault('GET', '/documents/{document}', 'read', async (ctx, _request, { vault }) => {
      const [[row] = []] = await ctx.load([{ category: edvDocument.category, id: documentId(vault.id, ctx.params.document!) }]);
      return row && json(edvDocument.of(row).value.document);
    }),
    onVault(
      'POST',
      '/documents/{document}',
      'write',
      writes(document, 'update', (given, ctx) => {
        if (given.id !== ctx.params.document) throw new AppError('bad-request', 'the document has another id');
        return { document: given };
      }),
      { maxBytes: MAX_DOCUMENT },
    ),
    onVault(
      'POST',
      '/documents/{document}/index',
      'write',
      writes(entry, 'index', (given, ctx) => ({ document: ctx.params.document, entry: given })),
    ),
    onVault('GET', '/documents/{document}/chunks/{chunk}', 'read', readChunk),
    onVault('POST', '/documents/{document}/chunks/{chunk}', 'write', (...given) => writeChunk(write, ...given), { maxBytes: MAX_CHUNK }),
    onVault('POST', '/query', 'read', find, { queried: true }),
    revocationRoute(capabilities, write),
  ];
}

/** Vaults of a controller: made, and found again. */
function collectionRoutes(capabilities: Capabilities, queue: ReturnType<typeof inTurn>): readonly PublicRoute[] {
  return [
    {
      route: 'POST /hub/{tenant}/edvs',
      async handle(ctx, request) {
        const whole = urlOf(ctx, request, `/hub/${ctx.tenant}/edvs`, false);
        if (whole === undefined) return undefined;
        await capabilities.checkBody(request.headers, request.body);
        const given = parsed(request, config);
        await verifiedRoot(capabilities, ctx, request, 'write', whole, { target: whole, controllers: [given.controller] });
        const made = await queue(`${ctx.tenant} ${given.controller}`, () =>
          ctx.call(hubVaults.name, 'claim', { input: { body: given, query: {} } }),
        );
        return { ...json(made), status: 201, headers: { ...json(made).headers, location: String(made.id) } };
      },
    },
    {
      route: 'GET /hub/{tenant}/edvs',
      async handle(ctx, request) {
        const path = `/hub/${ctx.tenant}/edvs`;
        const whole = urlOf(ctx, request, path, true);
        const controller = request.query.get('controller') ?? '';
        if (whole === undefined || !did.check(controller)) return undefined;
        const target = `${ctx.settings.hub!.endpoint}${path}`;
        await verifiedRoot(capabilities, ctx, request, 'read', whole, { target, controllers: [controller] });
        const reference = request.query.get('referenceId');
        const tags: Record<string, string> = reference === null ? { controller } : { reference: `${controller} ${reference}` };
        const { rows } = await ctx.find(edv.category, { tags, limit: 100 });
        return json(
          rows.map((row) => edv.of(row)).map(({ id, value }) => configOf(vaultUrl(ctx.settings.hub!.endpoint, ctx.tenant, id), value)),
        );
      },
    },
  ];
}

/** The end of a capability, by the vault's controller or by any controller of its chain. */
function revocationRoute(capabilities: Capabilities, write: Write): PublicRoute {
  return {
    route: 'POST /hub/{tenant}/edvs/{edv}/zcaps/revocations/{capability}',
    maxBytes: MAX_BODY,
    async handle(ctx, request) {
      const found = await vaultOf(ctx, request, '/zcaps/revocations/{capability}', false);
      if (!found) return undefined;
      const { vault, url, whole } = found;
      const root = { target: url, controllers: [vault.value.controller] };
      await capabilities.checkBody(request.headers, request.body);
      const given = parsedObject(request);
      const chain = await capabilities.shown(given, [root], ctx.now);
      const last = chain.at(-1)!;
      if (last.id !== ctx.params.capability) throw new AppError('bad-request', 'another capability');
      // every controller of the chain may end it
      const controllers = [vault.value.controller, ...chain.map(({ controller }) => controller)];
      // the right to write in the vault is no right to end others'
      const invoked = await verified(capabilities, ctx, request, 'write', whole, [{ target: whole, controllers }]);
      await refuseRevoked(ctx, vault.id, [...chain.slice(0, -1), ...invoked.chain]);
      const { id: capability, delegator, controller, expires } = last;
      const by = chain.length > 1 ? chain[0]!.controller : delegator;
      await write(ctx, vault.id, 'revoke', { capability, delegator, controller, expires, by });
      return { status: 204 };
    },
  };
}
