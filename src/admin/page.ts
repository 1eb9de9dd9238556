import type { Operation } from './operations.ts';

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** `/api/doc`: the operations by tag on one page that needs nothing from elsewhere; the document itself is beside it. */
export function documentationPage(operations: readonly Operation[]): string {
  const tags = [...new Set(operations.map((op) => op.tag))].sort();
  const sections = tags.map((tag) => {
    const rows = operations
      .filter((op) => op.tag === tag)
      .map(
        (op) =>
          `<tr><td><b>${op.method}</b></td><td><code>${escaped(op.path.replace('*}', '}'))}</code></td><td>${escaped(op.summary)}</td></tr>`,
      );
    return `<h2>${escaped(tag)}</h2><table>${rows.join('')}</table>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>FlexID Cloud Agent</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}td{padding:.2rem .6rem;border-top:1px solid #ddd}td:first-child{width:5rem}</style>
<h1>FlexID Cloud Agent</h1><p>The admin API. <a href="/api/docs/swagger.json">OpenAPI document</a></p>${sections.join('\n')}</html>`;
}
