import { type Api, type Body, Refused } from './api.ts';
import { type Card, FAMILIES, type Family, type Kind, offerCard, recordOf, requestCard } from './cards.ts';
import type { Terminal } from './terminal.ts';
import { framed, plain } from './text.ts';

/** Exchanges that wait for a decision. They are read from the agent each time, so that the end of this process loses none. */

export interface Question {
  readonly family: Family;
  readonly id: string;
  readonly record: Body;
}

export type Decision = 'yes' | 'no' | 'later';
const WORDS: Readonly<Record<string, Decision>> = { yes: 'yes', y: 'yes', no: 'no', n: 'no', later: 'later', l: 'later' };
export const decisionOf = (word: string): Decision | undefined => WORDS[word.toLowerCase()];

const familiesOf = (kind?: Kind): readonly Family[] => FAMILIES.filter((family) => kind === undefined || family.kind === kind);
/** Topics of the events that may bring a question. */
export const topicsOf = (kind?: Kind): string[] => familiesOf(kind).map(({ topic }) => topic);

/** The most of each family that one look reads. */
const PAGE = 100;

export interface Questions {
  /** All open questions, the oldest first, also those that were put off. */
  open(kind?: Kind): Promise<Question[]>;
  /** The first that was not put off. */
  next(kind?: Kind): Promise<Question | undefined>;
  /** Waits for one. */
  come(kind?: Kind): Promise<Question>;
  /** Shows a question, takes the decision and carries it out. @param decided a decision that is known already. @returns the decision; undefined at the end of the input */
  ask(question: Question, decided?: Decision): Promise<Decision | undefined>;
}

export function createQuestions(api: Api, terminal: Terminal): Questions {
  const put = new Set<string>();

  async function open(kind?: Kind): Promise<Question[]> {
    const lists = await Promise.all(
      familiesOf(kind).map(async (family) => {
        const { results } = await api.get(`${family.path}?state=${family.open}&role=${family.role}&limit=${PAGE}`);
        return results.map((given: Body): Question => {
          const record = recordOf(given);
          return { family, id: record[family.id], record };
        });
      }),
    );
    return lists.flat().sort((a, b) => (a.record.created_at < b.record.created_at ? -1 : 1));
  }
  const next = async (kind?: Kind): Promise<Question | undefined> => (await open(kind)).find(({ id }) => !put.has(id));

  /** The person's own values; undefined after an empty line. */
  async function ownWords(card: Card): Promise<Record<string, string> | undefined> {
    const words: Record<string, string> = {};
    for (const { referent, name } of card.own) {
      terminal.print(`Your own word for ${plain(name, 60)}? An empty line puts it off.`);
      const line = await terminal.line(': ');
      if (!line) return undefined;
      words[referent] = line;
    }
    return words;
  }

  async function accept(card: Card): Promise<Decision> {
    const { path, body } = card.yes!;
    const words = await ownWords(card);
    if (!words) return 'later';
    const choice: Body = Object.values(body)[0];
    if (card.own.length > 0) Object.assign(body.self_attested_attributes ?? choice.self_attested_attributes, words);
    await api.post(path, body);
    return 'yes';
  }

  /** Sends a problem report; without a connection for that, deletes the exchange. */
  async function decline({ path }: Family, id: string): Promise<void> {
    try {
      await api.post(`${path}/${id}/problem-report`, { description: 'declined by its owner' });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await api.remove(`${path}/${id}`);
    }
  }

  async function decide(card: Card): Promise<Decision | undefined> {
    terminal.print(card.question);
    const words = card.yes ? 'yes, no or later' : 'no or later';
    for (;;) {
      const line = await terminal.line(`${words}: `);
      if (typeof line !== 'string') return undefined;
      const decision = decisionOf(line);
      if (decision && (decision !== 'yes' || card.yes)) return decision;
      terminal.print(`Please answer ${words}.`);
    }
  }

  return {
    open,
    next,
    come: (kind) => api.until(topicsOf(kind), () => next(kind)),
    async ask({ family, id, record }, decided) {
      const card = await (family.kind === 'offer' ? offerCard : requestCard)(api, family, record);
      terminal.print(framed(card.title, card.lines, terminal.columns));
      const given = decided ?? (await decide(card));
      if (given === undefined) return undefined;
      let decision = given;
      try {
        if (decision === 'yes' && !card.yes) throw new Error('this cannot be answered with yes');
        if (decision === 'yes') decision = await accept(card);
        if (decision === 'no') await decline(family, id);
      } catch (error) {
        put.add(id);
        if (error instanceof Refused) throw new Error(`that did not work: ${plain(error.message)}`);
        throw error;
      }
      if (decision === 'later') put.add(id);
      terminal.print(decision === 'no' ? 'Declined.' : decision === 'later' ? 'Put off: it is asked again.' : 'Agreed.');
      return decision;
    },
  };
}
