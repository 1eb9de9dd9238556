import { met, type Requirement, shown } from './requirement.ts';

/** The kinds of agents, and the edge agent. */
export const AGENTS_ROWS: readonly Requirement[] = [
  shown('S2-04', 'four types of agents', {
    file: 'src/app.ts',
    from: 'config: { ...shown, roles: rolesOf(config) } as JsonObject },',
    to: 'config: shown as JsonObject },',
  }),
  shown('S2-05', 'every type does all identity actions', {
    file: 'src/app.ts',
    from: '...{ tenant, store: db.store, anoncreds, ledger },',
    to: "...{ tenant, store: db.store, anoncreds },\n    ledger: inbound.length > 0 ? ledger : () => {\n      throw new AppError('ledger-none');\n    },",
  }),
  shown('S2-06', 'one instance blends types', {
    file: 'src/config/roles.ts',
    from: 'filter((role) => ROLES[role](config));',
    to: 'filter((role) => ROLES[role](config)).slice(0, 1);',
  }),
  shown('S2-07', 'a mobile edge agent acts for a person', {
    file: 'edge/questions.ts',
    from: "if (decision === 'no') await decline(family, id);",
    to: "if (decision === 'no') await accept(card);",
  }),
  shown('S2-08', 'an edge agent may issue', {
    file: 'edge/verbs/table.ts',
    from: "does: 'offer somebody a credential of yours', run: issue",
    to: "does: 'offer somebody a credential of yours', run: closed",
  }),
  shown('S2-09', 'an edge agent holds keys and link secret', {
    file: 'edge/options.ts',
    from: "store: join(folder, 'wallet.db'),",
    to: "store: ':memory:',",
  }),
  shown('S2-10', 'cloud agents are for transport only', {
    file: 'src/message-formats/didcomm-v1.ts',
    from: 'pack({ message: JSON.stringify(message), recipients, sender });',
    to: 'pack({ message: JSON.stringify(message), recipients: [...recipients, ...(to.routingKeys ?? [])], sender });',
  }),
  met('S2-11', 'an endpoint that is always there'),
  met('S2-12', 'an endpoint that looks the same for all users of an agency'),
];
