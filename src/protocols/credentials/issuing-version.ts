import type { TSchema } from 'typebox';
import type { Attachment } from '../../didcomm/attachments.ts';
import type { Preview } from '../../formats/credential-preview.ts';
import type { Effects, WorkOrder } from '../../kernel/effects.ts';
import type { Formats, RevocationIndex } from '../../kernel/format.ts';
import type { ByFormat } from '../../kernel/format-attachments.ts';
import type { Incoming, Protocol, StepContext } from '../../kernel/protocol.ts';
import type { RecordDef } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';

/** The common members of the records of both versions. */
export interface IssuingValue {
  [member: string]: unknown;
  thread_id?: string;
  parent_thread_id?: string;
  initiator: 'self' | 'external';
  auto_offer?: boolean;
  auto_issue?: boolean;
  auto_remove?: boolean;
  auto_remove_on_failure?: boolean;
  error_msg?: string;
  /** The terms of the controller's call, until the offer is made. */
  wanted?: JsonObject;
  protocol?: string;
}

export type IssuingContext = StepContext<IssuingValue>;
export type Patch = Partial<IssuingValue>;

/** The terms of an offer: a filter for each format, and the values. */
export interface Terms {
  readonly filters: readonly { readonly format: string; readonly filter: JsonObject }[];
  readonly preview: JsonObject | null;
}

/** One object that a format made. */
export interface Made {
  readonly format: string;
  readonly value: JsonObject;
  /** Goes with an offer, beside it. */
  readonly supplement?: Attachment;
}

/** A message to be sent, and what the record holds of it. */
export interface Written {
  readonly message: JsonObject;
  readonly patch: Patch;
}

/** The states of both versions, by RFC 0453's names. */
type State =
  | 'proposal-sent'
  | 'proposal-received'
  | 'offer-sent'
  | 'offer-received'
  | 'request-sent'
  | 'request-received'
  | 'credential-issued'
  | 'credential-received'
  | 'credential-revoked'
  | 'done';

/** Which body a command has: that of a proposal, or that of an offer. */
export type BodyKind = 'proposal' | 'offer';

/** One version of issue-credential: names, states, members of the record, and how messages carry their attachments. */
export interface IssuingVersion {
  readonly name: string;
  readonly uri: string;
  /** The beginning of its routes. */
  readonly path: string;
  readonly tag: string;
  /** Its number, as the record of a credential's index has it. */
  readonly issues: '1' | '2';
  /** The members of the record for the index that its credential was issued at. */
  revocable?(index: RevocationIndex): Patch;
  readonly record: RecordDef<IssuingValue>;
  readonly answer?: Protocol<IssuingValue>['answer'];
  /** Its name of a state. */
  state(name: State): string;
  readonly messages: { readonly proposal: TSchema; readonly offer: TSchema; readonly other: TSchema };
  /** Members of the commands' bodies; `created` is the body of what offers without a proposal and issues by itself. */
  bodies(formats: Formats): Readonly<Record<'proposal' | 'created' | 'offer' | 'counter', Readonly<Record<string, TSchema>>>>;
  readonly createdAs: BodyKind;
  readonly summaries: { readonly created: string };
  /** Flags that its records begin with. */
  begun(ctx: IssuingContext, initiator: IssuingValue['initiator']): Patch;
  /** The change of the record by a received message. @throws AppError `message-invalid` */
  readonly reads: {
    proposal(ctx: IssuingContext, message: Incoming): Patch;
    offer(ctx: IssuingContext, message: Incoming, auto: boolean): Patch;
    request(ctx: IssuingContext, message: Incoming): Patch;
    credential(ctx: IssuingContext, message: Incoming): Patch;
  };
  /** The work on the look that an offer brings, whose result is `looked`. */
  looks?(ctx: IssuingContext, message: Incoming): WorkOrder | undefined;
  /** The objects that the record holds, by format. */
  readonly holds: {
    offers(ctx: IssuingContext): ByFormat;
    requests(ctx: IssuingContext): ByFormat;
    credentials(ctx: IssuingContext): ByFormat;
    preview(value: IssuingValue): Preview | null | undefined;
  };
  readonly writes: {
    /** A proposal of what a controller's body names. @throws AppError `unprocessable` where no credential can be made of it */
    proposal(ctx: IssuingContext, body: JsonObject, kind: BodyKind): Written;
    offer(ctx: IssuingContext, id: string, made: readonly Made[], preview: JsonObject | undefined): Written;
    request(ctx: IssuingContext, id: string, made: Made): Written;
    credential(ctx: IssuingContext, id: string, made: readonly Made[]): Written;
  };
  /** The terms that a proposal asks for. @throws AppError `bad-request` */
  terms(ctx: IssuingContext, proposal: JsonObject): Terms;
  /** The same, as the controller changed it. */
  countered(ctx: IssuingContext, body: JsonObject): Terms & { readonly patch?: Patch };
  /** The choices of the controller beside the terms. */
  wanted(body: JsonObject): JsonObject;
  /** The members of the record for a stored credential. */
  stored(id: string, info: JsonObject): Patch;
  /** Each format's details of the exchange, and its webhooks. */
  detailed?(
    ctx: IssuingContext,
    entries: readonly { format: string; detail?: JsonObject }[],
  ): Required<Pick<Effects, 'emit'>> & { patch: Patch };
}
