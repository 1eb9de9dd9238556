import type { Rules } from '../kernel/decisions.ts';
import { hashId } from '../kernel/ids.ts';
import { defineRecord, type LoadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';

/** The rules of a tenant: handlers, policies and defaults, all in one record, whose version keeps their order. */
export interface AgentConfigValue extends Partial<Rules> {
  [member: string]: unknown;
}

export const agentConfig = defineRecord<AgentConfigValue>({
  category: 'agent_config',
  idField: 'id',
  states: [],
  view: ({ value }) => ({ ...value }) as JsonObject,
  tags: () => ({}),
});

/** Where the rules of a tenant are. */
export const rulesLookup = { category: agentConfig.category, id: hashId('agent-config') };

export const NO_RULES: Rules = Object.freeze({ handlers: [], policies: [], defaults: {} });

/** The rules that a row holds. */
export const rulesOf = (row: StoredRecord | LoadedRecord | undefined): Rules => ({ ...NO_RULES, ...agentConfig.of(row)?.value });

/** The same, where there is any rule at all. */
export function someRules(row: StoredRecord | undefined): Rules | undefined {
  const rules = rulesOf(row);
  const { handlers, policies, defaults } = rules;
  return handlers.length + policies.length + Object.keys(defaults).length > 0 ? rules : undefined;
}

/** The name under which a change of a tenant's rules reaches all processes. */
export const rulesName = (tenant: string): string => `rules ${tenant}`;
/** The tenant of such a name. */
export const tenantOfRules = (name: string): string | undefined => (name.startsWith('rules ') ? name.slice('rules '.length) : undefined);
