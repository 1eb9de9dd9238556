import { operationsOf } from './admin/server.ts';
import { agent2018Work } from './agent-2018/matching.ts';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from './builtin-protocols.ts';
import type { Config } from './config/settings.ts';
import { asSetting } from './config/values.ts';
import { anoncredsObjectWork } from './formats/anoncreds-objects.ts';
import { formerWork } from './formats/former-orders.ts';
import { ocaWork } from './formats/oca-bundle.ts';
import { revocationWork } from './formats/revocation-work.ts';
import { formatWork } from './kernel/format.ts';
import { mergedWork, type Plugin } from './kernel/plugin.ts';
import { compilePublicRoutes, publicCommand } from './kernel/public-face.ts';
import type { PublicRoute } from './kernel/public-route.ts';
import { createRegistry, type Registry } from './kernel/registry.ts';
import { ownWork, type WorkOps } from './kernel/work.ts';
import { loadPlugin } from './plugins.ts';
import { backupWork } from './protocols/agency/backup-work.ts';
import { batchWork } from './protocols/credentials/batch.ts';
import { endorsementWork } from './protocols/endorsement/work.ts';
import { ownerWork } from './protocols/owner/work.ts';

/** The protocols, records, formats, work and routes of an agent: its own, and those of its plug-ins. */

export interface Registered {
  readonly plugins: readonly Plugin[];
  readonly registry: Registry;
  readonly ops: WorkOps;
  readonly publicRoutes: ReturnType<typeof compilePublicRoutes>;
  /** The paths of the agent's endpoints. */
  readonly paths: readonly string[];
}

/** The protocols, records and formats of an agent without plug-ins. */
export const builtIn = (): Registry => registryOf([]);

function registryOf(plugins: readonly Plugin[]): Registry {
  const protocols = plugins.flatMap((plugin) => plugin.protocols ?? []);
  const records = plugins.flatMap((plugin) => plugin.records ?? []);
  const formats = plugins.flatMap((plugin) => plugin.formats ?? []);
  return createRegistry([...PROTOCOLS, ...protocols] as never, [...UNBOUND_RECORDS, ...records] as never, [...FORMATS, ...formats]);
}

/**
 * Loads the plug-ins and registers everything.
 * @param more public routes beside those of the literals
 * @throws ConfigError where two claim one name, or a plug-in cannot be loaded */
export async function registered(config: Config, more: readonly PublicRoute[] = []): Promise<Registered> {
  const plugins: Plugin[] = [];
  for (const name of config.plugins) plugins.push(...(await loadPlugin(name)));
  const paths = (config.endpoints ?? []).flatMap((one) => (URL.canParse(one) ? [new URL(one).pathname] : []));
  return asSetting('--plugin', () => {
    const registry = registryOf(plugins);
    operationsOf(registry, plugins, { multitenant: true, managesWallets: true });
    const routes = [...more, ...[...registry.protocols, ...plugins].flatMap((one) => one.publicRoutes ?? [])];
    const publicRoutes = compilePublicRoutes([...routes, ...registry.publicCommands.map(publicCommand)], ['/', ...paths]);
    const acts = formatWork(registry.formats, registry.records);
    const own = {
      ...ownWork,
      ...acts,
      ...formerWork(acts),
      ...anoncredsObjectWork,
      ...ocaWork,
      ...revocationWork,
      ...agent2018Work,
      ...endorsementWork,
      ...ownerWork,
      ...batchWork,
      ...backupWork,
    };
    return { plugins, registry, publicRoutes, paths, ops: mergedWork(own, plugins) };
  });
}
