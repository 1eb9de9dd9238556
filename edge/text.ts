/** Text of others, made safe for a terminal: it cannot move the cursor, change the direction of its line, or look like a line of the program. */

/** Blanks of every kind, also those that Unicode counts as letters: runs of them could move the following text to the margin. */
const BLANK = /[\s\u{115F}\u{1160}\u{2800}\u{3164}\u{FFA0}]+/gu;
/** Joiners: invisible signs within words of some languages. */
const JOINER = /[\u{200C}\u{200D}]/gu;
/** Controls, overrides of direction, invisible signs, private and unassigned characters, halves of a pair. */
const UNSEEN = /\p{C}/gu;
/** Piles of marks upon one letter, which reach into other lines. No language has more than three. */
const PILE = /(\p{M}{3})\p{M}+/gu;
/** Quotes like those that this program puts around text of others. */
const QUOTE = /[“”„‟«»]/gu;

export const LONGEST = 300;

/**
 * A text of somebody else as one line.
 * @param most characters; a longer one is cut, and the cut is named
 */
export function plain(text: unknown, most = LONGEST): string {
  // the patterns run over a bounded part of a very long text
  const given = String(text);
  const clean = given
    .slice(0, most * 8)
    .replace(BLANK, ' ')
    .replace(JOINER, '')
    .replace(UNSEEN, '\u{FFFD}')
    .replace(PILE, '$1')
    .replace(QUOTE, '"')
    .trim();
  const letters = [...clean];
  return letters.length <= most && given.length <= most * 8
    ? clean
    : `${letters.slice(0, most).join('')}… (cut: ${given.length} characters)`;
}

/** The same in quotes. */
export const quoted = (text: unknown, most = 80): string => `“${plain(text, most)}”`;

/** The most columns of a character: those of East Asia, and pictures, take two. */
const widthOf = (letter: string): number => (letter.codePointAt(0)! < 0x1100 ? 1 : 2);

/** A line in pieces of at most so many columns, so that the terminal breaks none of them; all but the first are indented. */
export function wrapped(line: string, columns: number, indent = 0): string[] {
  const lines: string[] = [];
  let [piece, used] = ['', 0];
  for (const letter of line) {
    const width = widthOf(letter);
    if (used + width > columns) {
      lines.push(piece);
      [piece, used] = [' '.repeat(indent), indent];
    }
    piece += letter;
    used += width;
  }
  return [...lines, piece];
}

/** A card with a frame on the left, which stands before every line, so that no text of others begins one. */
export function framed(title: string, lines: readonly string[], columns: number): string {
  const room = Math.max(20, columns - 3);
  const body = lines.flatMap((line) => wrapped(line, room, /^ */.exec(line)![0].length + 2));
  return [`┌ ${title}`, ...body.map((line) => `│ ${line}`), '└'].join('\n');
}
