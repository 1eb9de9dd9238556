import type { Change, Effects, NextCommand } from '../../kernel/effects.ts';
import { registriesFollow } from '../../kernel/endorsement.ts';
import { changed, type Pages, type StepContext } from '../../kernel/protocol.ts';
import { type LoadedRecord, loadedRecord } from '../../kernel/record.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../../records/anoncreds-credential-definition.ts';
import { type RegistryUse, type RevocationRegistryValue, revocationRegistry } from '../../records/revocation-registry.ts';

export type RegistryContext = StepContext<RevocationRegistryValue>;
type Registry = LoadedRecord<RevocationRegistryValue>;

/** A registry as a commit leaves it. */
export interface Standing {
  readonly record: Registry;
  /** The states that it passes through. */
  states: readonly string[];
  use: RegistryUse;
}

/** How many registries of a definition are looked at by what they are for, and how many full ones a rotation decommissions at once. */
const MANY = 1000;

/** The credential definition, by whose version two rotations at once exclude each other. */
export const definitionOf = (credDefId: string) => ({
  definition: { category: credentialDefinitionRecord.category, tag: 'cred_def_id', equals: credDefId },
});

/** The registries of a credential definition that have a use, and those that will. */
export const usesOf = (credDefId: string): Pages => ({
  used: { category: revocationRegistry.category, query: { tags: { used_for: credDefId }, limit: MANY } },
  making: { category: revocationRegistry.category, query: { tags: { making_for: credDefId }, limit: MANY } },
});

export const fullOf = (credDefId: string): Pages => ({
  full: { category: revocationRegistry.category, query: { tags: { cred_def_id: credDefId }, state: 'full', limit: MANY } },
});

/**
 * Changes the uses of a definition's registries, so that one issues and another stands by: where none issues, the one that stood by does from then on; where one
 * is missing, it is made. Its own record is among the registries.
 */
export function arranged(ctx: RegistryContext, decide: (own: Standing, others: readonly Standing[]) => void): Effects {
  const own: Standing = { record: ctx.record!, states: [], use: ctx.record!.value.use };
  const rows = ['used', 'making', 'full'].flatMap((name) => ctx.pages[name]?.rows ?? []);
  const others = [...new Map(rows.map((row) => [row.id, loadedRecord<RevocationRegistryValue>(row)])).values()]
    .filter(({ id }) => id !== own.record.id)
    .map((record): Standing => ({ record, states: [], use: record.value.use }));
  decide(own, others);
  const all = [own, ...others];
  const standby = all.find(({ use }) => use === 'backup');
  if (standby && !all.some(({ use }) => use === 'issuing')) standby.use = 'issuing';
  const ready = ['issuing', 'backup'].filter((wanted) => all.some(({ use }) => use === wanted)).length;
  const making = ctx.pages.making!.rows.filter(({ id }) => id !== own.record.id || own.states.length === 0).length;
  const missing = registriesFollow(ctx.settings.endorsement) ? Math.max(0, 2 - ready - making) : 0;
  const made = Array.from({ length: missing }, () => replacement(ctx));
  const definition = ctx.loaded.definition && loadedRecord<CredentialDefinitionValue>(ctx.loaded.definition);
  return {
    record: { states: own.states.length > 0 ? own.states : undefined, patch: patchOf(own) },
    others: [
      ...(definition
        ? [
            changed({
              def: credentialDefinitionRecord,
              base: definition,
              patch: { registry_until: undefined, revocation_reason: undefined },
            }),
          ]
        : []),
      ...others.flatMap((one) => changesOf(one)),
      ...made.map(({ change }) => change),
    ],
    next: made.map(({ next }) => next),
  };
}

const patchOf = ({ use, states }: Standing): Partial<RevocationRegistryValue> => ({
  use,
  ...(states.includes('active') && { ready: true, manual: undefined, spare: undefined, failures: undefined, error_msg: undefined }),
});

const changesOf = (one: Standing): Change[] =>
  one.use === one.record.value.use && one.states.length === 0
    ? []
    : [
        changed({
          def: revocationRegistry,
          base: one.record,
          states: one.states.length > 0 ? one.states : undefined,
          patch: patchOf(one),
        }),
      ];

/** A registry of the size of the context's own, and what has it made. */
function replacement(ctx: RegistryContext): { change: Change; next: NextCommand } {
  const { issuerId, cred_def_id, max_cred_num, verkey, endorser } = ctx.record!.value;
  const id = ctx.newId();
  const patch: RevocationRegistryValue = { issuerId, cred_def_id, tag: ctx.newId(), max_cred_num, verkey, use: 'none', endorser };
  return { change: changed({ def: revocationRegistry, id, states: ['init'], patch }), next: makeOf(id, 0) };
}

/** Orders the making of a registry; no call waits for it. */
export const makeOf = (id: string, after: number): NextCommand => ({
  protocol: 'revocation-registry',
  command: 'make',
  record: { category: revocationRegistry.category, id },
  after,
});
