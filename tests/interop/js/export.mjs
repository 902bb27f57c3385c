// One chat call and the request around it, through an exporter of opentelemetry-js as an application sets it up.
// Arguments: folder of the node_modules, kind of exporter (http, proto, grpc), endpoint, compression (none, gzip).
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [folder, kind, url, compression] = process.argv.slice(2);
const require = createRequire(resolve(folder, 'package.json'));

const { context, SpanKind, trace } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { resourceFromAttributes } = require('@opentelemetry/resources');

// SDK 3 has one package for every platform, SDK 2 has sdk-trace-node.
const isSdk3 = folder.endsWith('sdk-3');
const sdk = require(isSdk3 ? '@opentelemetry/sdk-trace' : '@opentelemetry/sdk-trace-node');
const Provider = isSdk3 ? sdk.TracerProvider : sdk.NodeTracerProvider;

const exporter = new OTLPTraceExporter({ url, compression });
const processor = isSdk3 ? new sdk.BatchSpanProcessor({ exporter }) : new sdk.BatchSpanProcessor(exporter);
const provider = new Provider({
  resource: resourceFromAttributes({ 'service.name': 'shop-js' }),
  spanProcessors: [processor],
});

const tracer = provider.getTracer('shop.llm', '1.0');
const request = tracer.startSpan('POST /ask', { kind: SpanKind.SERVER });
const call = tracer.startSpan(
  'chat gpt-4o',
  {
    kind: SpanKind.CLIENT,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.usage.input_tokens': 1000,
      'gen_ai.usage.output_tokens': 300,
    },
  },
  trace.setSpan(context.active(), request),
);
call.end();
request.end();
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify({ traceId: call.spanContext().traceId, call: call.spanContext().spanId }));
