import type { TSchema } from 'typebox';
import type { Formats } from '../../kernel/format.ts';
import type { ByFormat } from '../../kernel/format-attachments.ts';
import type { Incoming, StepContext } from '../../kernel/protocol.ts';
import type { RecordDef } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';

/** The common members of the records of both versions. */
export interface PresentingValue {
  [member: string]: unknown;
  thread_id?: string;
  parent_thread_id?: string;
  initiator: 'self' | 'external';
  auto_present?: boolean;
  auto_verify?: boolean;
  auto_remove?: boolean;
  auto_remove_on_failure?: boolean;
  error_msg?: string;
  verified?: 'true' | 'false';
  verified_msgs?: readonly string[];
  /** Since when a request that nothing in the wallet answers waits for a credential that is on its way (ms). */
  waiting_since?: number;
  protocol?: string;
}

export type PresentingContext = StepContext<PresentingValue>;
export type Patch = Partial<PresentingValue>;

/** One object of a format. */
export interface Formatted {
  readonly format: string;
  readonly value: JsonObject;
}

/** A message to be sent, and what the record holds of it. */
interface Written {
  readonly message: JsonObject;
  readonly patch: Patch;
}

/** The states of both versions, by RFC 0454's names; `verified` and `acked` are the ends of the verifier and the prover. */
type State =
  | 'proposal-sent'
  | 'proposal-received'
  | 'request-sent'
  | 'request-received'
  | 'presentation-sent'
  | 'presentation-received'
  | 'verified'
  | 'acked';

/** One version of present-proof: names, states, members of the record, and how messages carry their attachments. */
export interface PresentingVersion {
  readonly name: string;
  readonly uri: string;
  /** The beginning of its routes. */
  readonly path: string;
  readonly tag: string;
  readonly record: RecordDef<PresentingValue>;
  /** Its name of a state. */
  state(name: State): string;
  readonly messages: { readonly proposal: TSchema; readonly request: TSchema; readonly presentation: TSchema };
  /** Members of the commands' bodies. */
  bodies(formats: Formats): Readonly<Record<'proposal' | 'request' | 'presentation', Readonly<Record<string, TSchema>>>>;
  readonly summaries: { readonly proposal: string };
  /** Flags that its records begin with. */
  begun(ctx: PresentingContext, initiator: PresentingValue['initiator']): Patch;
  /** The change of the record by a received message. @throws AppError `message-invalid` */
  readonly reads: {
    proposal(ctx: PresentingContext, message: Incoming): Patch;
    request(ctx: PresentingContext, message: Incoming): Patch;
    presentation(ctx: PresentingContext, message: Incoming): Patch;
  };
  /** Why a presentation is not the one that was proposed. */
  refused?(value: PresentingValue, patch: Patch): string | undefined;
  /** The objects that the record holds, by format. */
  readonly holds: {
    requests(ctx: PresentingContext): ByFormat;
    presentations(ctx: PresentingContext): ByFormat;
    /** The proposal of this thread. */
    proposals(ctx: PresentingContext): ByFormat;
  };
  readonly writes: {
    proposal(ctx: PresentingContext, id: string, body: JsonObject): Written;
    request(ctx: PresentingContext, ids: { id: string; thid: string }, entries: readonly Formatted[], comment: string | undefined): Written;
    presentation(ctx: PresentingContext, id: string, made: readonly Formatted[]): Written;
  };
  /** The requests of a controller's body, of each format. @throws AppError */
  asked(ctx: PresentingContext, body: JsonObject): readonly Formatted[];
  /** The requests that a proposal leads to, and their comment. */
  proposed(ctx: PresentingContext): { readonly entries: readonly Formatted[]; readonly comment?: string };
  /** The controller's choice of credentials, by format. @throws AppError `bad-request` for a format that was not requested */
  chosen(ctx: PresentingContext, body: JsonObject, requests: ByFormat): ByFormat;
}
