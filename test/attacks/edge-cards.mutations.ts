import type { Row } from '../rows/rows.ts';

const TEXT = 'edge/text.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'E1',
    text: 'text of others holds nothing that a terminal obeys, nor turns its line around',
    mutation: { file: TEXT, from: "    .replace(UNSEEN, '\\u{FFFD}')\n", to: '' },
  },
  { id: 'E1-2', text: 'it is one line, without runs of blanks', mutation: { file: TEXT, from: "    .replace(BLANK, ' ')\n", to: '' } },
  { id: 'E1-3', text: 'it does not close the quotes around it', mutation: { file: TEXT, from: "    .replace(QUOTE, '\"')\n", to: '' } },
  { id: 'E1-4', text: 'it does not grow into other lines', mutation: { file: TEXT, from: "    .replace(PILE, '$1')\n", to: '' } },
  {
    id: 'E1-5',
    text: 'it is cut where it is very long',
    mutation: { file: TEXT, from: 'letters.slice(0, most)', to: 'letters' },
  },
  {
    id: 'E1-6',
    text: 'the terminal itself breaks no line of a card',
    mutation: { file: TEXT, from: 'if (used + width > columns) {', to: 'if (used < 0) {' },
  },
  {
    id: 'E1-7',
    text: 'whatever is printed has passed a second fence',
    mutation: {
      file: 'edge/terminal.ts',
      from: '/** A second fence behind `plain`: nothing that is printed controls the terminal. */\nconst CONTROL = /[^\\n\\P{Cc}]/gu;',
      to: 'const CONTROL = /(?!)/gu;',
    },
  },
];
