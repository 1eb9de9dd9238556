import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a picture shows, and its three looks. */
const LOOKS = ['light', 'dark', 'narrow'] as const;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

/** Writes `index.html` beside the pictures of a folder: a row for each screen, light, dark and at 320 px. */
export function writeGallery(folder: string): void {
  const files = readdirSync(folder).filter((name) => name.endsWith('.png'));
  const names = [...new Set(files.map((file) => file.replace(/-(?:light|dark|narrow)\.png$/, '')))].sort();
  const row = (name: string): string =>
    [
      `<h2>${escaped(name)}</h2><div>`,
      ...LOOKS.map((look) => `${name}-${look}.png`)
        .filter((file) => files.includes(file))
        .map(
          (file) =>
            `<a href="${escaped(encodeURI(file))}"><img loading="lazy" alt="${escaped(file)}" src="${escaped(encodeURI(file))}"></a>`,
        ),
      '</div>',
    ].join('\n');
  writeFileSync(
    join(folder, 'index.html'),
    [
      '<!doctype html><html lang="en"><meta charset="utf-8"><title>Screens</title>',
      '<style>body{font:1rem system-ui;margin:1rem}div{display:flex;gap:1rem;align-items:start;overflow-x:auto}img{max-height:24rem;border:1px solid #999}</style>',
      ...names.map(row),
      '</html>\n',
    ].join('\n'),
  );
}
