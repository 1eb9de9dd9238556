/** Attributes of a span: kinds, states, codes and the tenant's id. Never an identifier of a peer, a key, a body or a value. */
export type Attributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface SpanOptions {
  readonly kind?: 'server' | 'client' | 'producer' | 'consumer';
  /** W3C traceparent of what caused this, where that is not what runs now. A value of another form is passed over. */
  readonly parent?: string;
}

/** Where time goes: spans of work, each within the one that runs. */
export interface Trace {
  /** Whether anything is recorded. */
  readonly on: boolean;
  /** Runs something as a span. An error is noted by its code and thrown on. */
  span<T>(name: string, attributes: Attributes, run: () => Promise<T>, options?: SpanOptions): Promise<T>;
  /** Says more about the span that runs. */
  note(attributes: Attributes): void;
  /** W3C traceparent of the span that runs. */
  context(): string | undefined;
  /** Sends what is left. */
  close(): Promise<void>;
}

/** No traces: a call more, and nothing else. */
export const NO_TRACE: Trace = {
  on: false,
  span: (_name, _attributes, run) => run(),
  note() {},
  context: () => undefined,
  async close() {},
};
