import { AppError } from '../../errors.ts';
import { viewOf } from '../../kernel/record.ts';
import { edv } from '../../records/edv.ts';
import { pendingRewrap } from '../../records/edv-document.ts';
import type { AdminRoute } from '../route.ts';

/** A vault, with the documents that its owner has to encrypt again after grants have ended. */
export const hubRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /hub/vaults/{vault_id}',
    tag: 'hub',
    summary: 'Fetch a vault, and the documents of it that are still encrypted to services whose grants have ended',
    async handle({ kernel }, { tenant, params }) {
      const { store } = kernel.db;
      const [[row] = []] = await store.load(tenant, [{ category: edv.category, id: params.vault_id! }]);
      if (!row) throw new AppError('not-found', edv.admin!.notFound);
      const vault = edv.of(row);
      return {
        ...viewOf(edv, vault, kernel.registry.formats),
        ...(await pendingRewrap((...query) => store.find(tenant, ...query), vault)),
      };
    },
  },
];
