import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace as spans } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import { asAppError } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { Attributes, SpanOptions, Trace } from '../../ports/trace.ts';

export interface OtlpOptions {
  /** The collector's base address: traces go to `/v1/traces` under it. */
  readonly endpoint: string;
  /** Which part of the traces that begin here is recorded; of those that a controller began, the controller decides. */
  readonly share: number;
  readonly version: string;
  /** Names this process among its like. */
  readonly instance: string;
  readonly log: Log;
}

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER };
/** W3C Trace Context, section 3.2.2: version, trace, parent, flags; of other versions the first four members. All zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
/** How long a collector that is away may hold up the end of the agent. */
const CLOSE_MS = 3000;

function remote(traceparent: string): Context | undefined {
  const found = TRACEPARENT.exec(traceparent);
  if (!found || (traceparent.length > 55 && traceparent.startsWith('00'))) return undefined;
  const [, traceId, spanId, flags] = found;
  return spans.setSpanContext(ROOT_CONTEXT, {
    traceId: traceId!,
    spanId: spanId!,
    traceFlags: Number.parseInt(flags!, 16) & 1,
    isRemote: true,
  });
}

/**
 * Traces by OpenTelemetry's SDK, sent in batches as OTLP over HTTP. The context is a storage of this object's own rather than the SDK's global one, so that agents of
 * one process do not share it. Loaded only where it is asked for: an agent without it imports nothing of OpenTelemetry.
 */
export function otlpTrace({ endpoint, share, version, instance, log }: OtlpOptions): Trace {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: 5000 });
  let failing = false;
  const processor = new BatchSpanProcessor({
    scheduledDelayMillis: 1000,
    exporter: {
      export(batch, done) {
        exporter.export(batch, (result) => {
          // once for each outage: a collector that is away is no reason to fill the log
          if (result.code !== 0 && !failing) log.warn({ reason: result.error?.message }, 'traces could not be sent');
          failing = result.code !== 0;
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    },
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'flexid', 'service.version': version, 'service.instance.id': instance }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('flexid', version);
  const running = new AsyncLocalStorage<{ context: Context; span: Span }>();

  return {
    on: true,
    async span<T>(name: string, attributes: Attributes, run: () => Promise<T>, options: SpanOptions = {}): Promise<T> {
      const parent = (options.parent === undefined ? undefined : remote(options.parent)) ?? running.getStore()?.context ?? ROOT_CONTEXT;
      const kind = options.kind ? KINDS[options.kind] : SpanKind.INTERNAL;
      const span = tracer.startSpan(name, { kind, attributes: known(attributes) }, parent);
      try {
        return await running.run({ context: spans.setSpan(parent, span), span }, run);
      } catch (thrown) {
        // the code alone: a text may name what a trace must not hold
        const { code, row } = asAppError(thrown);
        span.setAttribute('error.type', code);
        if (row.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        throw thrown;
      } finally {
        span.end();
      }
    },
    note(attributes) {
      running.getStore()?.span.setAttributes(known(attributes));
    },
    context() {
      const context = running.getStore()?.span.spanContext();
      return context && `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`;
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

const known = (attributes: Attributes) => attributes as Record<string, string | number | boolean | string[] | undefined>;
