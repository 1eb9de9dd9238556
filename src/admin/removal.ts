import { DamagedRecord } from '../errors.ts';
import type { RecordDef } from '../kernel/record.ts';
import type { Admin } from './route.ts';

/**
 * Deletes a record and what goes with it. A damaged record is deleted alone: what else goes with it cannot be read.
 * @throws AppError `not-found`
 */
export async function removeRecord({ kernel, engine, audited }: Admin, tenant: string, def: RecordDef, id: string): Promise<void> {
  const protocol = kernel.registry.protocols.find((known) => known.binds.category === def.category) ?? {
    name: def.category,
    uris: [],
    binds: def,
    messages: {},
  };
  try {
    await engine.transition({
      tenant,
      protocol: { ...protocol, binds: def },
      record: { category: def.category, id },
      from: '*',
      origin: { audited: audited?.tenant === tenant ? audited : undefined },
      otherwise: 'error',
      step: (ctx) => ({ record: { remove: true }, ...def.removed?.(ctx.record!) }),
    });
    if (audited?.tenant === tenant) audited.committed = true;
  } catch (error) {
    const damaged = error instanceof DamagedRecord && error.record.category === def.category && error.record.id === id;
    if (!damaged) throw error;
    await kernel.db.store.commit(tenant, { deletes: [{ category: def.category, id, expect: error.record.version }] });
  }
}
