import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EgressGuard } from './adapters/transport/egress.ts';
import { createTails, TAILS_MS } from './adapters/transport/tails.ts';
import { tailsUpload } from './adapters/transport/tails-upload.ts';
import { webDocuments } from './adapters/transport/web-documents.ts';
import type { Config } from './config/settings.ts';
import { cacheFolder } from './database.ts';
import type { Kernel } from './kernel/context.ts';
import type { Tails } from './ports/tails.ts';

interface TailsParts {
  readonly kernel: Kernel;
  readonly config: Config;
  readonly guard: EgressGuard;
  /** Whether peers can reach a port of this agent. */
  readonly listens: boolean;
}

/** Tails files, and what fetches and uploads them. */
export function openTails({ kernel, config, guard, listens }: TailsParts): { service: Tails; close(): Promise<void> } {
  const web = webDocuments(guard, TAILS_MS);
  const uploads = tailsUpload();
  const { tailsPublicUrl, tailsServerBaseUrl: base, tailsServerUploadUrl: upload, tailsMirror: mirror } = config;
  const given = cacheFolder(config);
  const folder = given === undefined ? mkdtempSync(join(tmpdir(), 'flexid-tails-')) : join(given, 'tails');
  const service = createTails({
    ...{ blobs: kernel.db.blobs, store: kernel.db.store, folder, web, upload: uploads.put, mirror, log: kernel.log },
    server: base === undefined ? undefined : { base, upload: upload ?? base },
    async origin() {
      const { endpoint, moreEndpoints } = (await kernel.profiles.of(kernel.base)).settings;
      const own = listens ? [endpoint, ...moreEndpoints].find((one) => /^https?:/i.test(one)) : undefined;
      return tailsPublicUrl ?? (own && new URL(own).origin);
    },
  });
  return {
    service,
    async close() {
      await Promise.allSettled([web.close(), uploads.close()]);
      if (given === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}
