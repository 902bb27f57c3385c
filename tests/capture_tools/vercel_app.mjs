// An application of the Vercel AI SDK 7: run by the scenarios of apps_more.py in a folder that holds its packages.
// Environment: PROVIDER_URL, SINK_URL, TELEMETRY (OpenTelemetry, LegacyOpenTelemetry, or usage: the first with usage details).
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { LegacyOpenTelemetry, OpenTelemetry } from "@ai-sdk/otel";
import { SpanKind, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { embed, embedMany, generateText, isStepCount, registerTelemetry, streamText, tool } from "ai";
import { z } from "zod";

const url = `${process.env.SINK_URL}/v1/traces`;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "order-desk" }),
  spanProcessors: [new ProtoExporter({ url }), new JsonExporter({ url })].map((e) => new BatchSpanProcessor(e)),
});
provider.register();
registerTelemetry(
  process.env.TELEMETRY === "LegacyOpenTelemetry"
    ? new LegacyOpenTelemetry()
    : new OpenTelemetry({ usage: process.env.TELEMETRY === "usage" }),
);

const openai = createOpenAI({ baseURL: `${process.env.PROVIDER_URL}/v1`, apiKey: "dummy" });
const anthropic = createAnthropic({ baseURL: `${process.env.PROVIDER_URL}/v1`, apiKey: "dummy" });
const findOrder = tool({
  description: "Finds an order",
  inputSchema: z.object({ order: z.string() }),
  execute: async ({ order }) => `${order} has shipped`,
});
const prompt = "Where is order A-1207?";
const more = { maxRetries: 0, telemetry: { isEnabled: true, functionId: "ask" } };
const agent = { ...more, tools: { findOrder }, stopWhen: isStepCount(4), prompt };

await trace.getTracer("order-desk").startActiveSpan("POST /ask", { kind: SpanKind.SERVER }, async (root) => {
  await generateText({ ...agent, model: openai.chat("gpt-5-mini") });
  await streamText({ ...agent, model: openai.responses("gpt-5") }).consumeStream();
  await streamText({ ...more, model: openai.chat("gpt-4.1"), prompt }).consumeStream();
  await generateText({ ...agent, model: anthropic("claude-opus-4-5") });
  await Promise.all([1, 2].map(() => generateText({ ...more, model: openai.chat("gpt-4.1"), prompt })));
  await embed({ ...more, model: openai.embedding("text-embedding-3-small"), value: prompt });
  await embedMany({ ...more, model: openai.embedding("text-embedding-3-small"), values: [prompt, "A-1207"] });
  await generateText({ ...more, model: openai.chat("error-gpt-4.1"), prompt }).catch(() => {});
  root.end();
});
await provider.shutdown();
