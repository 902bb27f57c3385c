// An application of the Vercel AI SDK 4 or 5: their telemetry is a setting of each call.
// Environment: PROVIDER_URL, SINK_URL.
import { createOpenAI } from "@ai-sdk/openai";
import { SpanKind, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import * as ai from "ai";
import { z } from "zod";

const url = `${process.env.SINK_URL}/v1/traces`;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "order-desk" }),
  spanProcessors: [new ProtoExporter({ url }), new JsonExporter({ url })].map((e) => new BatchSpanProcessor(e)),
});
provider.register();

const baseURL = `${process.env.PROVIDER_URL}/v1`;
const openai = createOpenAI({ baseURL, apiKey: "dummy", compatibility: "strict" });
const shape = z.object({ order: z.string() });
const findOrder = ai.tool({
  description: "Finds an order",
  inputSchema: shape,
  parameters: shape,
  execute: async ({ order }) => `${order} has shipped`,
});
const prompt = "Where is order A-1207?";
const more = { maxRetries: 0, experimental_telemetry: { isEnabled: true, functionId: "ask" } };
const steps = ai.stepCountIs ? { stopWhen: ai.stepCountIs(4) } : { maxSteps: 4 };
const agent = { ...more, ...steps, tools: { findOrder }, prompt };

await trace.getTracer("order-desk").startActiveSpan("POST /ask", { kind: SpanKind.SERVER }, async (root) => {
  await ai.generateText({ ...agent, model: openai.chat("gpt-5-mini") });
  await ai.streamText({ ...agent, model: openai.responses("gpt-5") }).consumeStream();
  await ai.streamText({ ...more, model: openai.chat("gpt-4.1"), prompt }).consumeStream();
  await ai.embed({ ...more, model: openai.embedding("text-embedding-3-small"), value: prompt });
  await ai.embedMany({ ...more, model: openai.embedding("text-embedding-3-small"), values: [prompt, "A-1207"] });
  await ai.generateText({ ...more, model: openai.chat("error-gpt-4.1"), prompt }).catch(() => {});
  root.end();
});
await provider.shutdown();
