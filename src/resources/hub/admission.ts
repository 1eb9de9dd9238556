import type { Static, TSchema } from 'typebox';
import { JsonRefused, parseJsonObject } from '../../didcomm/safe-json.ts';
import { AppError } from '../../errors.ts';
import type { PublicContext } from '../../kernel/public-route.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import type { Validator } from '../../kernel/schema.ts';
import type { Action, Capabilities, DelegatedCapability, Invoked, RootCapability } from '../../ports/capabilities.ts';
import type { PublicRequest } from '../../ports/public.ts';
import { EDV_ID, type EdvValue, edv, vaultUrl } from '../../records/edv.ts';
import { edvRevocation, revocationId } from '../../records/edv-revocation.ts';

const NUMBER = /^(?:0|[1-9]\d{0,6})$/;

/** A vault as a path names it. */
export interface NamedVault {
  readonly vault: LoadedRecord<EdvValue>;
  /** The vault's URL. */
  readonly url: string;
  /** That of the request, as its caller has signed it. */
  readonly whole: string;
}

/** A request on a vault, whose caller may make it. */
export interface Admitted extends NamedVault {
  readonly invoked: Invoked;
}

/** The URL of a request as its caller has signed it; undefined where this agent is no hub, or the URL spells its path in another way. */
export function urlOf({ settings: { hub } }: PublicContext, { url }: PublicRequest, path: string, queried: boolean): string | undefined {
  if (!hub) return undefined;
  const [given, asked] = url.split('?', 2) as [string, string | undefined];
  return given === path && (queried || asked === undefined) ? `${hub.endpoint}${url}` : undefined;
}

/** The vault that a path names. */
export async function vaultOf(ctx: PublicContext, request: PublicRequest, path: string, queried: boolean): Promise<NamedVault | undefined> {
  const { edv: id = '', document: name, chunk: number, capability } = ctx.params;
  if (!EDV_ID.test(id) || (name !== undefined && !EDV_ID.test(name)) || (number !== undefined && !NUMBER.test(number))) return undefined;
  if (capability !== undefined && !/^[!-~]{1,2048}$/.test(capability)) return undefined;
  const filled = path.replace(/\{([a-z]+)\}/g, (_, param: string) => encodeURIComponent(ctx.params[param]!));
  const whole = urlOf(ctx, request, `/hub/${ctx.tenant}/edvs/${id}${filled}`, queried);
  if (whole === undefined) return undefined;
  const [[row] = []] = await ctx.load([{ category: edv.category, id }]);
  return row && { vault: edv.of(row), url: vaultUrl(ctx.settings.hub!.endpoint, ctx.tenant, id), whole };
}

/** @throws AppError `forbidden` */
export function verified(
  capabilities: Capabilities,
  { now }: PublicContext,
  { method, headers, body }: PublicRequest,
  action: Action,
  url: string,
  roots: readonly RootCapability[],
): Promise<Invoked> {
  if (method === 'GET' && body.length > 0) throw new AppError('bad-request', 'a GET with a body');
  return capabilities.invoked({ method, url, headers, body, action, roots, now });
}

/** @throws AppError `forbidden` where the right was delegated */
export async function verifiedRoot(
  capabilities: Capabilities,
  ctx: PublicContext,
  request: PublicRequest,
  action: Action,
  url: string,
  root: RootCapability,
): Promise<void> {
  const { chain } = await verified(capabilities, ctx, request, action, url, [root]);
  if (chain.length > 0) throw new AppError('forbidden', 'only a controller itself has vaults');
}

/** @throws AppError `forbidden` where a link of the chain was revoked */
export async function refuseRevoked(ctx: PublicContext, vault: string, chain: readonly DelegatedCapability[]): Promise<void> {
  if (chain.length === 0) return;
  const found = await ctx.load(chain.map((link) => ({ category: edvRevocation.category, id: revocationId(vault, link) })));
  if (found.some((rows) => rows.length > 0)) throw new AppError('forbidden', 'the capability was revoked');
}

/** @throws AppError `bad-json` */
export function parsedObject({ body }: PublicRequest): Record<string, unknown> {
  try {
    return parseJsonObject(body, { maxBytes: body.length });
  } catch (error) {
    if (error instanceof JsonRefused) throw new AppError('bad-json');
    throw error;
  }
}

/** The body of a request, by its shape. @throws AppError `bad-json`, `bad-request` */
export const parsed = <S extends TSchema>(request: PublicRequest, shape: Validator<S>): Static<S> =>
  shape.parse(parsedObject(request), 'bad-request');
