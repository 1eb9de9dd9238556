import { existsSync, globSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Takes out of an installation what this machine never loads: native builds for other platforms, the pinned Node.js' headers and manual. What is left is the
 * same on each run, so it may run again. Usage: node runtime/prune.ts <folder>
 */
export function prune(root: string, { platform, arch }: { platform: string; arch: string } = process): void {
  const modules = join(root, 'node_modules');
  // sodium-native and whatever else keeps its builds as <platform>-<arch>; Alpine's are told apart by a suffix at most
  for (const folder of globSync(['*/prebuilds', '@*/*/prebuilds'], { cwd: modules }))
    keep(join(modules, folder), (name) => name === `${platform}-${arch}` || name.startsWith(`${platform}-${arch}-`));
  // koffi's are <platform>_<arch>, and musl_<arch> for Alpine
  const own = [`${platform}_${arch}`, ...(platform === 'linux' ? [`musl_${arch}`] : [])];
  keep(join(modules, 'koffi/build/koffi'), (name) => own.includes(name));
  for (const folder of globSync('node-*', { cwd: join(root, 'runtime/node_modules') }))
    for (const part of ['include', 'share', 'CHANGELOG.md', 'README.md'])
      rmSync(join(root, 'runtime/node_modules', folder, part), { recursive: true, force: true });
}

/** Removes the folders that are not wanted; none where no wanted one is there, since the names may have become others then. */
function keep(folder: string, wanted: (name: string) => boolean): void {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  if (!names.some(wanted)) return;
  for (const name of names.filter((one) => !wanted(one))) rmSync(join(folder, name), { recursive: true, force: true });
}

if (import.meta.main) prune(process.argv[2] ?? '.');
