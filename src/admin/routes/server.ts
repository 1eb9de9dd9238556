import { AppError } from '../../errors.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { AdminRoute } from '../route.ts';

/**
 * ACA-Py's server group. `/status/ready` looks at the store, which ACA-Py's does not. It does not ask the ledger: mail, pickup and messages go on without it, and
 * work for it waits, so that an outage of its node must not take the agents away. `/status/ledger` shows that.
 */
export const serverRoutes: readonly AdminRoute[] = [
  { route: 'GET /status/live', tag: 'server', summary: 'Liveliness check', auth: 'none', handle: async () => ({ alive: true }) },
  {
    route: 'GET /status/ready',
    tag: 'server',
    summary: 'Readiness check',
    auth: 'none',
    async handle(admin) {
      const { ok, reason, waits } = await admin.ready();
      if (!ok) throw new AppError('unavailable', reason);
      return { ready: true, ...(waits ? { waits } : {}) };
    },
  },
  {
    route: 'GET /status/ledger',
    tag: 'server',
    summary: 'Whether the ledger node answers, and is one of the network that was configured',
    auth: 'none',
    async handle(admin) {
      const health = await admin.ledgerHealth();
      if (!health) throw new AppError('not-found', 'No ledger is configured');
      if (!health.ok) throw new AppError('unavailable', `The ledger is not ready: ${health.reason ?? 'no reason given'}`);
      const { round, nodes, quorum } = health;
      return {
        ready: true,
        ...(round !== undefined && { round }),
        ...(nodes && { nodes: nodes.map((node) => ({ ...node })), quorum: quorum! }),
      };
    },
  },
  {
    route: 'GET /status',
    tag: 'server',
    summary: 'Fetch the server status',
    auth: 'admin',
    handle: async (admin) => ({
      // scripts of controllers choose their calls by the version of ACA-Py
      version: admin.acapyVersion,
      flexid_version: admin.version,
      label: (await admin.kernel.profiles.of(admin.base)).settings.label,
      conductor: admin.counters(),
      uptime: Math.round((Date.now() - admin.started) / 1000),
    }),
  },
  {
    route: 'GET /status/config',
    tag: 'server',
    summary: 'Fetch the server configuration',
    auth: 'admin',
    // ACA-Py's names beside those of the flags: controllers look for wallet.type here
    handle: async (admin) => ({ config: { ...admin.config, ...(await admin.kernel.profiles.of(admin.base)).shown } }),
  },
  {
    route: 'POST /status/reset',
    tag: 'server',
    summary: 'Reset statistics',
    auth: 'admin',
    async handle(admin) {
      admin.resetCounters();
      return {};
    },
  },
  {
    route: 'GET /plugins',
    tag: 'server',
    summary: 'Fetch the list of loaded plugins',
    auth: 'admin',
    handle: async (admin) => ({
      result: [...admin.plugins.map(({ name }) => name), ...admin.kernel.registry.protocols.map((protocol) => protocol.name)],
    }),
  },
  {
    route: 'GET /shutdown',
    tag: 'server',
    summary: 'Shut down server',
    auth: 'admin',
    async handle(admin) {
      setImmediate(() => admin.shutdown());
      return {};
    },
  },
  {
    route: 'GET /settings',
    tag: 'settings',
    summary: 'Get the configurable settings associated with the profile',
    handle: async (admin, { tenant }) => (await admin.kernel.profiles.of(tenant)).shown,
  },
  {
    route: 'PUT /settings',
    tag: 'settings',
    summary: 'Update configurable settings associated with the profile.',
    body: Type.Object({ extra_settings: Type.Optional(Type.Object({})) }),
    async handle(admin, { tenant, body }) {
      await admin.changeSettings(tenant, (body.extra_settings ?? {}) as JsonObject);
      return (await admin.kernel.profiles.of(tenant)).shown;
    },
  },
];
