import { h, useEffect, useState, type VNode } from './h.ts';
import { t } from './i18n.ts';

/** The most that a QR code takes. */
const LONGEST = 2953;

/** A text as a QR code. Its module is loaded when the first one is shown. */
export function Qr({ text, label }: { text: string; label: string }): VNode | null {
  const [drawn, draw] = useState<{ size: number; path: string }>();
  useEffect(() => {
    let current = true;
    draw(undefined);
    if (text.length <= LONGEST)
      import('qr').then(({ default: encode }) => {
        const rows = encode(text, 'raw', { ecc: text.length > 2331 ? 'low' : 'medium', border: 4 }) as boolean[][];
        const path = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join('');
        if (current) draw({ size: rows.length, path });
      });
    return () => {
      current = false;
    };
  }, [text]);
  if (text.length > LONGEST) return h('p', null, t('qr.too-long'));
  return h(
    'svg',
    {
      class: 'qr',
      role: 'img',
      'aria-label': label,
      viewBox: `0 0 ${drawn?.size ?? 1} ${drawn?.size ?? 1}`,
      'shape-rendering': 'crispEdges',
    },
    h('rect', { width: '100%', height: '100%', fill: '#fff' }),
    drawn ? h('path', { d: drawn.path, fill: '#000' }) : null,
  );
}
