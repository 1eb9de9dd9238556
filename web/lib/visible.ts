/** What of a text that others chose cannot be seen, or hides what stands around it. */

const LONGEST = 200;
/** Control characters, marks that change the direction of text, and characters that cannot be seen. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/u;
/** Marks on a letter: of more than scripts have, a pile covers the lines above and below. */
const MARK = /\p{M}/u;
const MOST_MARKS = 4;

/** The text in parts; those that cannot be seen, and marks that pile up, are shown as their code points. */
export function visible(text: string, longest = LONGEST): { text: string; hidden: boolean }[] {
  const parts: { text: string; hidden: boolean }[] = [];
  let n = 0;
  let marks = 0;
  for (const char of text) {
    if (n++ >= longest) {
      parts.push({ text: '…', hidden: false });
      break;
    }
    marks = MARK.test(char) ? marks + 1 : 0;
    const hidden = (HIDDEN.test(char) && char !== '\n') || marks > MOST_MARKS;
    const shown = hidden ? `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}` : char;
    const last = parts.at(-1);
    if (last && !hidden && !last.hidden) last.text += shown;
    else parts.push({ text: shown, hidden });
  }
  return parts;
}
