"""One span of each instrumentation, written by hand from what it is known to send, and what it means."""

from __future__ import annotations

from span_tables import S

Meant = tuple[S, tuple[int, ...], str, str, str]
"""The span; tokens (input, cache read, cache write, output, reasoning); operation; provider; model."""

SOURCES: dict[str, Meant] = {
    "OpenTelemetry, newest names": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.response.model": "gpt-5-mini-2025-08-07",
                "gen_ai.usage.input_tokens": 1187,
                "gen_ai.usage.output_tokens": 412,
                "gen_ai.usage.cache_read.input_tokens": 1024,
                "gen_ai.usage.cache_write.input_tokens": 100,
                "gen_ai.usage.reasoning.output_tokens": 256,
            },
            scope="opentelemetry.instrumentation.genai.openai",
        ),
        (1187, 1024, 100, 412, 256),
        "chat",
        "openai",
        "gpt-5-mini-2025-08-07",
    ),
    "OpenTelemetry of 2024": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "az.ai.openai",
                "gen_ai.request.model": "my-deployment",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.usage.prompt_tokens": 318,
                "gen_ai.usage.completion_tokens": 43,
            },
        ),
        (318, 0, 0, 43, 0),
        "chat",
        "azure.ai.openai",
        "gpt-4o-2024-08-06",
    ),
    "OpenTelemetry Bedrock: cached tokens are left out of the input, which the numbers need not show": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "aws.bedrock",
                "gen_ai.request.model": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "gen_ai.usage.input_tokens": 343,
                "gen_ai.usage.output_tokens": 121,
                "gen_ai.usage.cache_read.input_tokens": 256,
            },
            scope="opentelemetry.instrumentation.genai.bedrock",
        ),
        (599, 256, 0, 121, 0),
        "chat",
        "aws.bedrock",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    "Traceloop Bedrock": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "AWS",
                "gen_ai.request.model": "claude-sonnet-4-5-20250929-v1",
                "gen_ai.usage.input_tokens": 343,
                "gen_ai.usage.output_tokens": 121,
                "gen_ai.usage.total_tokens": 464,
                "gen_ai.usage.cache_read.input_tokens": 256,
                "gen_ai.usage.cache_creation.input_tokens": 16,
            },
            scope="opentelemetry.instrumentation.bedrock",
        ),
        (615, 256, 16, 121, 0),
        "chat",
        "aws.bedrock",
        "claude-sonnet-4-5-20250929-v1",
    ),
    "Traceloop of 2024": (
        S(
            1,
            {
                "llm.request.type": "chat",
                "gen_ai.system": "Anthropic",
                "gen_ai.request.model": "claude-3-5-sonnet-20241022",
                "llm.usage.prompt_tokens": 7707,
                "llm.usage.completion_tokens": 187,
                "llm.usage.total_tokens": 7894,
                "gen_ai.usage.cache_read_input_tokens": 6012,
                "gen_ai.usage.cache_creation_input_tokens": 1480,
            },
            scope="opentelemetry.instrumentation.anthropic",
        ),
        (7707, 6012, 1480, 187, 0),
        "chat",
        "anthropic",
        "claude-3-5-sonnet-20241022",
    ),
    "Traceloop Gemini: thoughts are in the total only": (
        S(
            1,
            {
                "gen_ai.operation.name": "generate_content",
                "gen_ai.provider.name": "gcp.gemini",
                "gen_ai.request.model": "gemini-2.5-pro",
                "gen_ai.usage.input_tokens": 3105,
                "gen_ai.usage.output_tokens": 187,
                "gen_ai.usage.total_tokens": 3821,
            },
            scope="opentelemetry.instrumentation.google_generativeai",
        ),
        (3105, 0, 0, 716, 0),
        "generate_content",
        "gcp.gemini",
        "gemini-2.5-pro",
    ),
    "OpenInference": (
        S(
            1,
            {
                "openinference.span.kind": "LLM",
                "llm.system": "anthropic",
                "llm.provider": "anthropic",
                "llm.model_name": "claude-sonnet-4-5-20250929",
                "llm.invocation_parameters": '{"model": "claude-sonnet-4-5", "stream": true}',
                "llm.token_count.prompt": 7707,
                "llm.token_count.completion": 187,
                "llm.token_count.total": 7894,
                "llm.token_count.prompt_details.cache_read": 6012,
                "llm.token_count.prompt_details.cache_write": 1480,
                "llm.token_count.completion_details.reasoning": 64,
            },
            scope="openinference.instrumentation.anthropic",
            kind=1,
        ),
        (7707, 6012, 1480, 187, 64),
        "chat",
        "anthropic",
        "claude-sonnet-4-5-20250929",
    ),
    "OpenLIT Anthropic: cached tokens are left out of the input": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": "claude-opus-4-5",
                "gen_ai.usage.input_tokens": 1873,
                "gen_ai.usage.output_tokens": 329,
                "gen_ai.client.token.usage": 2202,
                "gen_ai.usage.cache_read.input_tokens": 512,
                "gen_ai.usage.cache_creation.input_tokens": 0,
            },
            scope="openlit.instrumentation.anthropic",
        ),
        (2385, 512, 0, 329, 0),
        "chat",
        "anthropic",
        "claude-opus-4-5",
    ),
    "Langfuse wrapper: the provider's own shape": (
        S(
            1,
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-5-mini-2025-08-07",
                "langfuse.observation.usage_details": (
                    '{"input_tokens": 2210, "input_tokens_details": {"cached_tokens": 1920},'
                    ' "output_tokens": 731, "output_tokens_details": {"reasoning_tokens": 512}}'
                ),
            },
            scope="langfuse-sdk",
            kind=1,
        ),
        (2210, 1920, 0, 731, 512),
        "chat",
        "",
        "gpt-5-mini-2025-08-07",
    ),
    "Langfuse callback: disjoint parts": (
        S(
            1,
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-5-mini",
                "langfuse.observation.usage_details": (
                    '{"input": 179, "input_cache_read": 1024, "output": 142, "output_reasoning": 256,'
                    ' "total": 1601}'
                ),
            },
            scope="langfuse-sdk",
            kind=1,
        ),
        (1203, 1024, 0, 398, 256),
        "chat",
        "",
        "gpt-5-mini",
    ),
    "Langfuse with Anthropic's usage, which leaves cached tokens out": (
        S(
            1,
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "claude-opus-4-5",
                "langfuse.observation.usage_details": (
                    '{"input_tokens": 1873, "cache_read_input_tokens": 512, "output_tokens": 329}'
                ),
            },
            scope="langfuse-sdk",
            kind=1,
        ),
        (2385, 512, 0, 329, 0),
        "chat",
        "",
        "claude-opus-4-5",
    ),
    "LiteLLM: details in the repr of a dict": (
        S(
            1,
            {
                "gen_ai.operation.name": "aresponses",
                "gen_ai.system": "",
                "litellm.provider.model": "openai/gpt-5-mini",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.usage.input_tokens": 1187,
                "gen_ai.usage.output_tokens": 412,
                "metadata.usage_object": (
                    "{'completion_tokens': 412, 'prompt_tokens': 1187, 'completion_tokens_details':"
                    " {'reasoning_tokens': 256, 'audio_tokens': None},"
                    " 'prompt_tokens_details': {'cached_tokens': 1024}}"
                ),
                "hidden_params": '{"model_id": null, "api_base": "https://eu.api.openai.com/v1/"}',
            },
            scope="litellm",
            kind=1,
        ),
        (1187, 1024, 0, 412, 256),
        "chat",
        "openai",
        "gpt-5-mini",
    ),
    "Logfire: details in JSON": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.system": "anthropic",
                "gen_ai.request.model": "claude-opus-4-5",
                "gen_ai.usage.input_tokens": 2385,
                "gen_ai.usage.output_tokens": 329,
                "gen_ai.usage.raw": '{"input_tokens": 1873, "cache_read_input_tokens": 512}',
            },
            scope="logfire.anthropic",
        ),
        (2385, 512, 0, 329, 0),
        "chat",
        "anthropic",
        "claude-opus-4-5",
    ),
    "Pydantic AI": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "google-gla",
                "gen_ai.request.model": "gemini-2.5-flash",
                "gen_ai.usage.input_tokens": 1187,
                "gen_ai.usage.output_tokens": 412,
                "gen_ai.usage.details.cache_read_tokens": 1024,
                "gen_ai.usage.details.reasoning_tokens": 256,
            },
            scope="pydantic-ai",
        ),
        (1187, 1024, 0, 412, 256),
        "chat",
        "gcp.gemini",
        "gemini-2.5-flash",
    ),
    "Vercel AI SDK 6": (
        S(
            1,
            {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.provider": "amazon-bedrock",
                "ai.model.id": "eu.amazon.nova-pro-v1:0",
                "ai.usage.inputTokens": 1187,
                "ai.usage.inputTokenDetails.noCacheTokens": 163,
                "ai.usage.outputTokens": 412,
                "ai.usage.cachedInputTokens": 1024,
                "ai.usage.reasoningTokens": 256,
            },
            scope="ai",
            kind=1,
        ),
        (1187, 1024, 0, 412, 256),
        "chat",
        "aws.bedrock",
        "eu.amazon.nova-pro-v1:0",
    ),
    "Vercel AI SDK 5 with Anthropic: cached tokens are left out": (
        S(
            1,
            {
                "ai.operationId": "ai.streamText.doStream",
                "gen_ai.system": "anthropic.messages",
                "ai.model.id": "claude-opus-4-5",
                "ai.usage.inputTokens": 1873,
                "ai.usage.outputTokens": 329,
                "ai.usage.cachedInputTokens": 512,
            },
            scope="ai",
            kind=1,
        ),
        (2385, 512, 0, 329, 0),
        "chat",
        "anthropic",
        "claude-opus-4-5",
    ),
    "Vercel AI SDK 4: details in the provider's metadata": (
        S(
            1,
            {
                "ai.operationId": "ai.generateText.doGenerate",
                "gen_ai.system": "openai.chat",
                "gen_ai.request.model": "gpt-5-mini",
                "ai.response.model": "gpt-5-mini-2025-08-07",
                "ai.usage.promptTokens": 1203,
                "ai.usage.completionTokens": 398,
                "ai.response.providerMetadata": (
                    '{"openai": {"cachedPromptTokens": 1024, "reasoningTokens": 256}}'
                ),
            },
            scope="ai",
            kind=1,
        ),
        (1203, 1024, 0, 398, 256),
        "chat",
        "openai",
        "gpt-5-mini-2025-08-07",
    ),
    "Vercel AI SDK 7": (
        S(
            1,
            {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "text-embedding-3-small",
                "gen_ai.usage.input_tokens": 41,
            },
            scope="gen_ai",
        ),
        (41, 0, 0, 0, 0),
        "embeddings",
        "openai",
        "text-embedding-3-small",
    ),
    "Strands: both generations of names, a framework for a provider": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "strands-agents",
                "gen_ai.request.model": "us.amazon.nova-lite-v1:0",
                "gen_ai.usage.prompt_tokens": 642,
                "gen_ai.usage.input_tokens": 642,
                "gen_ai.usage.completion_tokens": 198,
                "gen_ai.usage.output_tokens": 198,
                "gen_ai.usage.cache_read.input_tokens": 512,
                "gen_ai.usage.cache_read_input_tokens": 512,
            },
            scope="strands.telemetry.tracer",
            kind=1,
        ),
        (642, 512, 0, 198, 0),
        "chat",
        "",
        "us.amazon.nova-lite-v1:0",
    ),
    "Google ADK 1: no operation, thoughts left out, details in the response's JSON": (
        S(
            1,
            {
                "gen_ai.system": "gcp.vertex.agent",
                "gen_ai.request.model": "gemini-2.5-flash",
                "gen_ai.usage.input_tokens": 3105,
                "gen_ai.usage.output_tokens": 187,
                "gcp.vertex.agent.llm_response": (
                    '{"content": {"parts": [{"text": "x"}]}, "usage_metadata": {"prompt_token_count": 3105,'
                    ' "cached_content_token_count": 2048, "candidates_token_count": 187,'
                    ' "thoughts_token_count": 529, "total_token_count": 3821}}'
                ),
            },
            scope="gcp.vertex.agent",
            kind=1,
            name="call_llm",
        ),
        (3105, 2048, 0, 716, 529),
        "generate_content",
        "gcp.gen_ai",
        "gemini-2.5-flash",
    ),
    "vLLM itself": (
        S(
            1,
            {
                "gen_ai.response.model": "meta-llama/Llama-3.3-70B-Instruct",
                "gen_ai.usage.prompt_tokens": 1200,
                "gen_ai.usage.completion_tokens": 150,
                "gen_ai.usage.cached_tokens": 1024,
                "gen_ai.latency.time_in_queue": 0.002,
            },
            scope="vllm.llm_engine",
            kind=2,
            name="llm_request",
        ),
        (1200, 1024, 0, 150, 0),
        "",
        "",
        "meta-llama/Llama-3.3-70B-Instruct",
    ),
    "Spring AI: every value is a text": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "mistral_ai",
                "gen_ai.request.model": "mistral-large-latest",
                "gen_ai.response.model": "mistral-large-2411",
                "gen_ai.usage.input_tokens": "241",
                "gen_ai.usage.output_tokens": "38",
                "gen_ai.usage.total_tokens": "279",
            },
            scope="org.springframework.boot",
        ),
        (241, 0, 0, 38, 0),
        "chat",
        "mistral_ai",
        "mistral-large-2411",
    ),
    "Semantic Kernel": (
        S(
            1,
            {
                "gen_ai.operation.name": "chat.completions",
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.prompt_tokens": 318,
                "gen_ai.response.completion_tokens": 43,
            },
            scope="Microsoft.SemanticKernel.Diagnostics",
        ),
        (318, 0, 0, 43, 0),
        "chat",
        "openai",
        "gpt-4o",
    ),
    "MLflow: JSON texts": (
        S(
            1,
            {
                "mlflow.spanType": '"CHAT_MODEL"',
                "mlflow.llm.model": '"gpt-4.1"',
                "mlflow.chat.tokenUsage": (
                    '{"input_tokens": 1203, "output_tokens": 398, "total_tokens": 1601,'
                    ' "cache_read_input_tokens": 1024}'
                ),
            },
            scope="mlflow.tracing.provider",
            kind=1,
        ),
        (1203, 1024, 0, 398, 0),
        "chat",
        "",
        "gpt-4.1",
    ),
    "Cohere by Traceloop: counts are doubles": (
        S(
            1,
            {
                "llm.request.type": "chat",
                "gen_ai.system": "Cohere",
                "gen_ai.request.model": "command-a-03-2025",
                "gen_ai.usage.prompt_tokens": 92.0,
                "gen_ai.usage.completion_tokens": 31.0,
            },
            scope="opentelemetry.instrumentation.cohere",
        ),
        (92, 0, 0, 31, 0),
        "chat",
        "cohere",
        "command-a-03-2025",
    ),
    "An unknown scope with counts and a model": (
        S(
            1,
            {"llm.model_name": "gpt-4o", "llm.token_count.prompt": 10, "llm.token_count.completion": 2},
            scope="",
        ),
        (10, 0, 0, 2, 0),
        "",
        "",
        "gpt-4o",
    ),
}
