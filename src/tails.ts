import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

const TEMPORARY = /^flexid-tails-(\d+)-/;

const isRunning = (pid: number): boolean => {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** The folder of a process that keeps none; those of processes that were killed are removed. */
export function temporaryFolder(): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = TEMPORARY.exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // another user's
    }
  }
  return mkdtempSync(join(tmpdir(), `flexid-tails-${process.pid}-`));
}

/** Tails files, and what fetches and uploads them. */
export function openTails({ kernel, config, guard, listens }: TailsParts): { service: Tails; close(): Promise<void> } {
  const web = webDocuments(guard, TAILS_MS);
  const uploads = tailsUpload();
  const { tailsPublicUrl, tailsServerBaseUrl: base, tailsServerUploadUrl: upload, tailsMirror: mirror } = config;
  const given = cacheFolder(config);
  const folder = given === undefined ? temporaryFolder() : join(given, 'tails');
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
