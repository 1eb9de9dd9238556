import { type AgentOptions, type LedgerFacts, type Started, startAgent, startLedger } from '../../harness/network.ts';
import { startWebhooks, type Webhooks } from '../demo/controller.ts';
import { type Step, stepsOn } from '../demo/flow.ts';
import type { Screen } from './screen.ts';
import type { Open, Stage } from './stage.ts';

/** The parts that every example is made of: a ledger and agents as processes, a receiver of their webhooks, and steps with names. */
export interface Kit extends Stage {
  readonly open: Open;
  /** Whether sizes are those of the README instead of small ones. */
  readonly full: boolean;
  /** @throws Error of a step, with the step's name before it */
  readonly step: Step;
  /** A line about something that is no step. */
  readonly line: (what: string, detail: string) => void;
  /** The dev ledger, which is started when an agent needs it first. */
  ledger(): Promise<LedgerFacts>;
  /** An agent as a process of its own, and a controller of it. Its name is that of its store, its log and its webhooks. */
  agent(name: string, options?: Omit<AgentOptions, 'ledger' | 'sponsored'> & { readonly ledger?: 'reads' | 'writes' }): Promise<Started>;
  webhooks(): Promise<Webhooks>;
}

/** @param ledger - one that is there already, for runs that share it */
export function createKit({ folder, open }: Stage, screen: Pick<Screen, 'begin' | 'line'>, full: boolean, ledger?: LedgerFacts): Kit {
  let hooks: Promise<Webhooks> | undefined;
  let facts: Promise<LedgerFacts> | undefined = ledger && Promise.resolve(ledger);
  const kit: Kit = {
    folder,
    open,
    full,
    line: screen.line,
    step: stepsOn({ begin: screen.begin, end: screen.line }),
    ledger() {
      facts ??= kit.step('start the ledger', async () => {
        const made = await open(startLedger(folder).then((one) => ({ ...one, stop: () => one.program.stop() })));
        return [made, made.url];
      });
      return facts;
    },
    webhooks() {
      if (!hooks) {
        const made = startWebhooks();
        hooks = made;
        open(made.then(({ close }) => ({ stop: close }))).catch(() => {});
      }
      return hooks;
    },
    async agent(name, { ledger: use, ...options } = {}) {
      const [ledger, webhooks] = [use && (await kit.ledger()), await kit.webhooks()];
      return await kit.step(`start ${name}`, async () => {
        const made = await open(startAgent(folder, webhooks, name, { ...options, ledger, sponsored: use === 'writes' }));
        return [made, `pid ${made.program.pid}`];
      });
    },
  };
  return kit;
}
