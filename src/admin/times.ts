import { AppError } from '../errors.ts';
import Type from '../kernel/type.ts';
import type { Query } from '../ports/store.ts';

const Time = Type.Optional(Type.String({ maxLength: 40 }));
/** The query of a list that can be cut by the time of creation. */
export const TIMES = { from: Time, to: Time };

/** RFC 3339: a date, or a date and a time with its offset. */
const RFC3339 = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/i;

function timeOf(name: string, text: string): number {
  // a plus that was not escaped reads as a space
  const time = RFC3339.test(text.replace(/ (?=\d{2}:\d{2}$)/, '+')) ? Date.parse(text.replace(/ (?=\d{2}:\d{2}$)/, '+')) : Number.NaN;
  if (Number.isNaN(time)) throw new AppError('unprocessable', `${name}: give a time of RFC 3339, as in 2030-01-31T12:00:00Z`);
  return time;
}

/** The bounds that a query names: from the one time on, and before the other. @throws AppError `unprocessable` for what is no time */
export const timesOf = ({ from, to }: Readonly<Record<string, string>>): Pick<Query, 'from' | 'before'> => ({
  from: from === undefined ? undefined : timeOf('from', from),
  before: to === undefined ? undefined : timeOf('to', to),
});
