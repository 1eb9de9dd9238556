import type { TSchema } from 'typebox';
import { AppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Log } from '../ports/log.ts';
import type { Database, Store } from '../ports/store.ts';
import type { Calls } from './calls.ts';
import { type CredentialFormat, defineFormat } from './format.ts';
import { defineProtocol, NEW, type Protocol } from './protocol.ts';
import { httpAnswer, type PublicRoute } from './public-route.ts';
import { compact, defineRecord, loadedRecord, type RecordDef, viewHead } from './record.ts';
import Type from './type.ts';
import type { WorkOps } from './work.ts';

/** A call of a route, as validated. */
export interface RouteCall {
  readonly tenant: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  /** The `idempotency-key` header. */
  readonly key?: string;
  /** The id of the tenant's token that it was made with. */
  readonly token?: string;
}

/** The means of a plug-in's route: it reads records and calls commands, and writes by commands alone. */
export interface PluginHost {
  readonly store: Pick<Store, 'load' | 'find'>;
  readonly calls: Pick<Calls, 'call'>;
  readonly log: Log;
}

/** A route that follows from no record and no protocol. */
export interface PluginRoute {
  /** As in `GET /guestbook/summary/{name}`. */
  readonly route: string;
  readonly tag: string;
  readonly summary: string;
  readonly auth?: 'none' | 'admin' | 'tenant';
  readonly query?: TSchema;
  readonly body?: TSchema;
  handle(host: PluginHost, call: RouteCall): Promise<Json>;
}

/** A change of what a plug-in has stored before: applied once to every record of a category, before the agent serves. */
export interface Migration {
  /** Never changed after a release: it is how a migration that was applied is known. */
  readonly name: string;
  readonly category: string;
  /** The record's new value; undefined leaves it as it is. Twice is harmless: a start that was cut short begins again. */
  up(value: Readonly<JsonObject>): JsonObject | undefined;
}

/** The parts that a plug-in adds to an agent at its start. All are optional but the name. */
export interface Plugin {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a literal is checked against the value of the record that it binds, where it is declared
  readonly protocols?: readonly Protocol<any>[];
  /** Kinds that no protocol binds. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly records?: readonly RecordDef<any>[];
  /** Credential formats, beside the agent's own. */
  readonly formats?: readonly CredentialFormat[];
  /** Slow work by name, as `WorkOrder.op` names it: what a protocol needs outside its steps. */
  readonly work?: WorkOps;
  readonly routes?: readonly PluginRoute[];
  /** Routes of the public HTTP face: for everyone, on the message ports. */
  readonly publicRoutes?: readonly PublicRoute[];
  readonly migrations?: readonly Migration[];
}

/** Declares a plug-in: the default export of its module. */
export function definePlugin(plugin: Plugin): Plugin {
  return Object.freeze(plugin);
}

/** The functions and constants that a plug-in needs at run time. A module that lies elsewhere may export a function of them. */
export const kit = Object.freeze({
  definePlugin,
  defineFormat,
  defineProtocol,
  defineRecord,
  NEW,
  Type,
  compact,
  viewHead,
  httpAnswer,
  AppError,
});
export type Kit = typeof kit;

/** A plug-in out of a module, whichever way it exports it. @throws Error in one clause, without a subject */
export async function pluginOf(module: Readonly<Record<string, unknown>>): Promise<Plugin> {
  const given = module.default;
  const plugin: unknown = typeof given === 'function' ? await given(kit) : given;
  if (typeof plugin !== 'object' || plugin === null || typeof (plugin as Plugin).name !== 'string' || (plugin as Plugin).name === '')
    throw new Error('its default export is no plug-in');
  for (const list of ['protocols', 'records', 'formats', 'routes', 'publicRoutes', 'migrations'] as const) {
    const value = (plugin as Plugin)[list];
    if (value !== undefined && !Array.isArray(value)) throw new Error(`its ${list} are no list`);
  }
  return plugin as Plugin;
}

/** The work of the agent and of its plug-ins under one roof. @throws Error where two are called the same */
export function mergedWork(own: WorkOps, plugins: readonly Plugin[]): WorkOps {
  const all: Record<string, WorkOps[string]> = { ...own };
  for (const { name, work = {} } of plugins) {
    for (const [op, run] of Object.entries(work)) {
      if (Object.hasOwn(all, op)) throw new Error(`work ${op} of ${name} is registered already`);
      all[op] = run;
    }
  }
  return Object.freeze(all);
}

const APPLIED = 'plugin_migration';
const PAGE = 100;

/** Applies the migrations of a plug-in that have not been applied, in their order. @throws what a migration throws: the agent does not start then */
export async function migrate(db: Database, tenant: string, plugin: Plugin, records: ReadonlyMap<string, RecordDef>): Promise<void> {
  for (const { name, category, up } of plugin.migrations ?? []) {
    const id = `${plugin.name} ${name}`;
    const [applied] = await db.store.load(tenant, [{ category: APPLIED, id }]);
    if (applied?.[0]) continue;
    const def = records.get(category);
    if (!def) throw new Error(`migration ${name} of ${plugin.name} is about ${category}, which is no kind of record`);
    let cursor: string | undefined;
    do {
      const page = await db.store.find(tenant, category, { limit: PAGE, cursor });
      const writes = page.rows.map(loadedRecord).flatMap((record) => {
        const value = up(record.value as JsonObject);
        if (!value) return [];
        const { id, version, state, role, connection } = record;
        return [{ category, id, expect: version, state, role, connection, tags: def.tags(value), value }];
      });
      if (writes.length > 0) await db.store.commit(tenant, { records: writes });
      cursor = page.next;
    } while (cursor !== undefined);
    await db.store.commit(tenant, { records: [{ category: APPLIED, id, expect: 0, tags: {}, value: {} }] });
  }
}

export type { JsonObject } from '../ports/json.ts';
export type { Effects } from './effects.ts';
export type { CredentialFormat } from './format.ts';
export type { CommandInput, Incoming, StepContext } from './protocol.ts';
export type { PublicContext, PublicRoute } from './public-route.ts';
export type { LoadedRecord } from './record.ts';
export type { WorkContext, WorkOps } from './work.ts';
export { AppError, compact, defineFormat, defineProtocol, defineRecord, httpAnswer, NEW, Type, viewHead };
