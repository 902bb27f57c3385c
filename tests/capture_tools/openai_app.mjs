// An application of the OpenAI SDK for JavaScript. Environment: PROVIDER_URL, SINK_URL,
// TELEMETRY (openinference or opentelemetry: which instrumentation).
import { OpenAIInstrumentation as OpenInference } from "@arizeai/openinference-instrumentation-openai";
import { SpanKind, metrics, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { OpenAIInstrumentation as OpenTelemetry } from "@opentelemetry/instrumentation-openai";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { createRequire } from "node:module";

const url = `${process.env.SINK_URL}/v1/traces`;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "order-desk" }),
  spanProcessors: [new ProtoExporter({ url }), new JsonExporter({ url })].map((e) => new BatchSpanProcessor(e)),
});
provider.register();
const isOpenInference = process.env.TELEMETRY === "openinference";
const instrumentation = isOpenInference ? new OpenInference() : new OpenTelemetry();
instrumentation.setTracerProvider(provider);
instrumentation.setMeterProvider?.(metrics.getMeterProvider());
instrumentation.enable();
const OpenAI = createRequire(import.meta.url)("openai"); // by require, as the instrumentations patch that
if (isOpenInference) instrumentation.manuallyInstrument(OpenAI);

const client = new OpenAI({ baseURL: `${process.env.PROVIDER_URL}/v1`, apiKey: "dummy", maxRetries: 0 });
const messages = [{ role: "user", content: "Where is order A-1207?" }];
const parameters = { type: "object", properties: { order: { type: "string" } } };
const tools = [{ type: "function", function: { name: "find_order", parameters } }];
const drain = async (stream) => {
  for await (const _ of stream);
};

await trace.getTracer("order-desk").startActiveSpan("POST /ask", { kind: SpanKind.SERVER }, async (root) => {
  const chat = client.chat.completions;
  await chat.create({ model: "gpt-4.1", messages, tools });
  await Promise.all([1, 2].map(() => chat.create({ model: "gpt-5-mini", messages })));
  const told = { stream: true, stream_options: { include_usage: true } };
  await drain(await chat.create({ model: "gpt-5-mini", messages, ...told }));
  await drain(await chat.create({ model: "gpt-5-mini", messages, stream: true }));
  await client.responses.create({ model: "gpt-5", input: "Where is order A-1207?" });
  await drain(await client.responses.create({ model: "gpt-5", input: "Where is order A-1207?", stream: true }));
  await client.embeddings.create({ model: "text-embedding-3-small", input: ["A-1207"] });
  await chat.create({ model: "error-gpt-4.1", messages }).catch(() => {});
  root.end();
});
await provider.shutdown();
